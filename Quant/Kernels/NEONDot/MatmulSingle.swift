import OccamKernelContract
import _Builtin_intrinsics.arm.neon

extension Products {
  /// Products of four rows and one token.
  /// - Parameters:
  ///   - x: the first of its activations.
  ///   - count: of quads: 2, 4 or 8.
  ///   - atOnce: of no account where sums have 32 bits.
  ///   - start: what the sums begin with.
  ///   - quads: quads 2 j and 2 j + 1, bytes of either sign.
  @inline(__always)
  static func single(
    _ x: UnsafeRawPointer, quads count: Int, _ atOnce: Int, from start: Int32,
    _ quads: (_ j: Int) -> (even: Bytes, odd: Bytes)
  ) -> Words {
    var sums = vdupq_n_s32(start)
    // No loop: what a quad is made of depends on constants.
    let first = fourQuads(x, of: count)
    add(&sums, quads(0), times: first, lane: 0)
    if count > 2 { add(&sums, quads(1), times: first, lane: 2) }
    if count > 4 {
      let second = fourQuads(x + 16, of: count)
      add(&sums, quads(2), times: second, lane: 0)
      add(&sums, quads(3), times: second, lane: 2)
    }
    return sums
  }

  @inline(__always)
  private static func add(_ sums: inout Words, _ quads: (even: Bytes, odd: Bytes), times x: Words, lane: Int) {
    sums = vdotq_s32(sums, signed(quads.even), fourTimes(x[lane]))
    sums = vdotq_s32(sums, signed(quads.odd), fourTimes(x[lane &+ 1]))
  }
}

/// A token's next four quads, or two if there are no more.
@inline(__always)
func fourQuads(_ x: UnsafeRawPointer, of count: Int) -> Words {
  if count > 2 { return x.load(as: Words.self) }
  let two = x.load(as: SIMD2<Int32>.self)
  return vcombine_s32(two, two)
}

/// A quad for four rows. Where it is a lane of a register, the product takes it from there.
@inline(__always)
func fourTimes(_ quad: Int32) -> SIMD16<Int8> { unsafeBitCast(vdupq_n_s32(quad), to: SIMD16<Int8>.self) }
