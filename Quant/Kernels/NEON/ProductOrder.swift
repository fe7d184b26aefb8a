import OccamKernelContract
import _Builtin_intrinsics.arm.neon

/// Unpacked quads lie as lines, results as [token][4 rows].
extension Products {
  /// Stores two quads of rows 4 i and the next three.
  @inline(__always)
  static func storeQuads(_ even: Bytes, _ odd: Bytes, _ lines: UnsafeMutableRawPointer, _ i: Int) {
    lines.storeBytes(of: even, toByteOffset: 16 &* i, as: Bytes.self)
    lines.storeBytes(of: odd, toByteOffset: PanelLayout.line &+ 16 &* i, as: Bytes.self)
  }

  @inline(__always)
  static func storeFactors(_ factors: Rows<Floats>, _ target: UnsafeMutableRawPointer) {
    for i in 0..<4 { target.storeBytes(of: factors[i], toByteOffset: 16 &* i, as: Floats.self) }
  }

  /// The factors that register i of a part's sums multiplies with.
  @inline(__always)
  static func factor(_ factors: UnsafeRawPointer, _ i: Int) -> Floats { floats(factors, 16 &* (i & 1)) }

  /// The tokens' floats for register i, `record` bytes apart.
  @inline(__always)
  static func token(_ x: UnsafeRawPointer, _ record: Int, _ i: Int) -> Floats {
    vdupq_n_f32(x.load(fromByteOffset: (i >> 1) &* record, as: Float.self))
  }

  /// Where register i of a part's results lies in those of a group, bytes.
  @inline(__always)
  static func place(_ part: Int, _ i: Int) -> Int {
    64 &* (token(part) &+ (i >> 1)) &+ 32 &* half(part) &+ 16 &* (i & 1)
  }

  /// Brings results in order: they lie as they shall.
  @inline(__always)
  static func finish(_ out: UnsafeMutableRawPointer, groups: Int) {}
}
