/// MXFP4: 32 numbers in 17 bytes, x = 2^(e - 128) * value of `Codebook.fp4`: the OCP Microscaling Formats' MXFP4, in
/// ggml's order of elements.
///
///     offset  bytes
///     0       1      e, the exponent
///     1       16     E2M1 codes: byte i holds number i in its low nibble and number i + 16 in its high nibble
@usableFromInline
package enum BlockMXFP4: BlockFormat {
  package static var name: String { "MXFP4" }
  @inlinable @inline(__always) package static var elements: Int { 32 }
  @inlinable @inline(__always) package static var bytes: Int { 17 }
  package static var factors: BlockFactors? { .exponent(exponent) }
  @inlinable @inline(__always) package static var exponent: Int { 0 }
  @inlinable @inline(__always) package static var quants: Int { 1 }

  /// 2^(e - 128) as a bfloat16, which holds every one of them; 255, which is no number, gives 2^127 as in ggml.
  @inlinable
  @inline(__always)
  package static func scale(_ e: UInt8) -> UInt16 { e < 2 ? 0x20 &<< UInt16(e) : (UInt16(e) &- 1) &<< 7 }

  package static func decode(_ block: UnsafeRawPointer, into x: UnsafeMutablePointer<Float>) {
    Codebook.decode(Codebook.fp4, block + quants, BrainFloat.float(scale(block.load(as: UInt8.self))), into: x)
  }

  /// The largest magnitude's exponent less that of the largest code, 6, is the block's, as the OCP specification has it;
  /// codes are the nearest ones, halfway the smaller.
  package static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutableRawPointer) {
    var magnitude: Float = 0
    for i in 0..<32 where x[i].magnitude > magnitude { magnitude = x[i].magnitude }
    let e = UInt8(truncatingIfNeeded: max(0, Int(magnitude.bitPattern >> 23) - 2))
    block.storeBytes(of: e, as: UInt8.self)
    let d = BrainFloat.float(scale(e))
    for i in 0..<16 {
      let code = index(x[i], d) | index(x[i + 16], d) << 4
      block.storeBytes(of: code, toByteOffset: quants + i, as: UInt8.self)
    }
  }

  @inline(__always)
  private static func index(_ v: Float, _ d: Float) -> UInt8 {
    var (best, least) = (UInt8(0), v.magnitude)
    for i in 1..<16 {
      let error = (Float(Codebook.fp4[i]) * d - v).magnitude
      if error < least { (best, least) = (UInt8(i), error) }
    }
    return best
  }
}
