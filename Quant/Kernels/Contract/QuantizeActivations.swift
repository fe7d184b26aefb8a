/// Activations -> signed bytes, written once and compiled by each kernel target for its own instructions; the bits are
/// the same everywhere, since no operation here may be contracted or reordered.
///
/// scale = amax / 127 and q = x * (127 / amax) to the nearest integer, ties to even. A block whose largest magnitude is
/// below 1e-30 counts as zeros (127 / amax would leave the range of Float). A block with an infinity or a NaN gets the
/// scale NaN, which the products then carry on.
@usableFromInline
package struct BlockScale {
  @usableFromInline let scale: Float
  @usableFromInline let inverse: Float

  /// - Parameters:
  ///   - bits: the largest bit pattern among the magnitudes; those of NaN and infinity are the largest of all.
  ///   - top: what the largest magnitude becomes.
  @inlinable
  @inline(__always)
  init(largest bits: UInt32, top: Float = 127) {
    let amax = Float(bitPattern: bits)
    let finite = bits < 0x7f80_0000
    let usable = finite && amax >= 1e-30
    scale = usable ? amax / top : (finite ? 0 : .nan)
    inverse = usable ? top / amax : 0
  }

  /// Largest bit pattern of the magnitudes of `count` floats, a multiple of 16.
  @inlinable
  @inline(__always)
  static func largest(_ x: UnsafeRawPointer, _ count: Int) -> UInt32 {
    var largest = SIMD16<Int32>(repeating: 0)
    for i in 0..<count / 16 {
      let bits = x.loadUnaligned(fromByteOffset: i &* 64, as: SIMD16<Int32>.self)
      let magnitude = bits & SIMD16(repeating: 0x7fff_ffff)
      largest.replace(with: magnitude, where: magnitude .> largest)
    }
    return UInt32(truncatingIfNeeded: largest.max())
  }

  /// Quantizes 16 floats, stores the quants plus `offset` and returns the sum of the quants, in four parts: of the
  /// columns 4 j, 4 j + 1, and so on.
  @inlinable
  @inline(__always)
  func sixteen(_ x: UnsafeRawPointer, _ out: UnsafeMutableRawPointer, offset: Int32 = 0) -> SIMD4<Int32> {
    // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits. A non-finite block has inverse 0: its
    // quants are 0 or, from infinity * 0, arbitrary bytes of a NaN, all multiplied by the scale NaN.
    let magic: Float = 12_582_912
    let shifted = x.loadUnaligned(as: SIMD16<Float>.self) * inverse + magic
    let quants = unsafeBitCast(shifted, to: SIMD16<Int32>.self) &- Int32(bitPattern: magic.bitPattern)
    out.storeBytes(of: SIMD16<Int8>(truncatingIfNeeded: quants &+ offset), as: SIMD16<Int8>.self)
    let eight = quants.lowHalf &+ quants.highHalf
    return eight.lowHalf &+ eight.highHalf
  }
}

/// The body of `MatmulKernels.Pack` for blocks of 32: `tokens` rows of `columns` floats, a multiple of 32, into one
/// group.
/// - Parameters:
///   - top: what the largest magnitude of a block becomes.
///   - offset: what is added to the stored numbers.
///   - hasLanes: `Activation32.minus8Lanes` instead of `minus128`.
@inlinable
@inline(__always)
package func quantizeActivations32(
  _ x: UnsafePointer<Float>, _ stride: Int, _ tokens: Int, _ columns: Int, _ group: UnsafeMutableRawPointer,
  top: Float = 127, offset: Int32 = 0, hasLanes: Bool = false
) {
  for token in 0..<tokens {
    var source = UnsafeRawPointer(x + token &* stride)
    var record = group + token &* Activation32.bytes
    for _ in 0..<columns / 32 {
      let scale = BlockScale(largest: BlockScale.largest(source, 32), top: top)
      let quants = record + Activation32.quants
      let sums =
        scale.sixteen(source, quants, offset: offset) &+ scale.sixteen(source + 64, quants + 16, offset: offset)
      let sum = sums.wrappedSum()
      record.storeBytes(of: scale.scale, toByteOffset: Activation32.scale, as: Float.self)
      record.storeBytes(of: scale.scale * Float(sum), toByteOffset: Activation32.scaledSum, as: Float.self)
      record.storeBytes(of: sum &* -8, toByteOffset: Activation32.minus8, as: Int32.self)
      if hasLanes {
        let lanes = SIMD2(
          Int16(truncatingIfNeeded: (sums.x &+ sums.y) &* -8), Int16(truncatingIfNeeded: (sums.z &+ sums.w) &* -8))
        record.storeBytes(of: lanes, toByteOffset: Activation32.minus8Lanes, as: SIMD2<Int16>.self)
      } else {
        record.storeBytes(of: sum &* -128, toByteOffset: Activation32.minus128, as: Int32.self)
      }
      source += 128
      record += Activation32.bytes &* ActivationLayout.tokens
    }
  }
}

/// The body of `MatmulKernels.Pack` for blocks of 256: `tokens` rows of `columns` floats, a multiple of 256, into one group.
@inlinable
@inline(__always)
package func quantizeActivations256(
  _ x: UnsafePointer<Float>, _ stride: Int, _ tokens: Int, _ columns: Int, _ group: UnsafeMutableRawPointer
) {
  for token in 0..<tokens {
    var source = UnsafeRawPointer(x + token &* stride)
    var record = group + token &* Activation256.bytes
    for _ in 0..<columns / 256 {
      let scale = BlockScale(largest: BlockScale.largest(source, 256))
      record.storeBytes(of: scale.scale, toByteOffset: Activation256.scale, as: Float.self)
      var total: Int32 = 0
      for pair in 0..<8 {
        let quants = record + (Activation256.quants &+ pair &* 32)
        let first = scale.sixteen(source + pair &* 128, quants).wrappedSum()
        let second = scale.sixteen(source + (pair &* 128 &+ 64), quants + 16).wrappedSum()
        let sums = SIMD2(Int16(truncatingIfNeeded: first), Int16(truncatingIfNeeded: second))
        record.storeBytes(of: sums, toByteOffset: Activation256.sums16 &+ pair &* 4, as: SIMD2<Int16>.self)
        record.storeBytes(
          of: sums[0] &+ sums[1], toByteOffset: Activation256.sums32 &+ pair &* 2, as: Int16.self)
        total &+= first &+ second
      }
      record.storeBytes(of: total &* -127, toByteOffset: Activation256.minus127, as: Int32.self)
      source += 1024
      record += Activation256.bytes &* ActivationLayout.tokens
    }
  }
}
