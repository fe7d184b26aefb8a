import OccamKernelContract

/// Plain SIMD types: whatever 128-bit instructions the baseline has. Without FMA instructions `addingProduct` would
/// call the C library for every lane, hence product and sum.
package enum PortableLanes: VectorLanes {
  @inline(__always)
  package static func multiplyAdd(_ a: Lanes16, _ b: Lanes16, _ c: Lanes16) -> Lanes16 { a * b + c }

  @inline(__always)
  package static func maximum(_ a: Lanes16, _ b: Lanes16) -> Lanes16 { larger(a, b) }

  @inline(__always)
  package static func largestLane(_ value: Lanes16) -> Float { OccamKernelContract.largestLane(value) }

  @inline(__always)
  package static func widen(_ halves: UnsafePointer<UInt16>) -> Lanes16 {
    unsafeBitCast((wideLoad(halves), wideLoad(halves + 8)), to: Lanes16.self)
  }

  @inline(__always)
  package static func widen(_ integers: UnsafePointer<Int8>) -> Lanes16 {
    var lanes = Lanes16()
    for lane in 0..<16 { lanes[lane] = Float(integers[lane]) }
    return lanes
  }

  package typealias Wide = SIMD8<Float>
  @inline(__always) package static var convertsHalves: Bool { false }
  @inline(__always) package static var wideCount: Int { 8 }
  @inline(__always) package static var wideZero: Wide { Wide(repeating: 0) }

  @inline(__always)
  package static func wideLoad(_ floats: UnsafePointer<Float>) -> Wide {
    UnsafeRawPointer(floats).loadUnaligned(as: Wide.self)
  }

  /// `floatFromHalf` for eight at a time, as vectors: its comparison would keep a loop over it scalar.
  @inline(__always)
  package static func wideLoad(_ halves: UnsafePointer<UInt16>) -> Wide {
    var bits = SIMD8<UInt32>()
    for lane in 0..<8 { bits[lane] = UInt32(halves[lane]) }
    let magnitude = (bits & SIMD8(repeating: 0x7FFF)) &<< SIMD8(repeating: 13)
    let value = unsafeBitCast(magnitude, to: Wide.self) * Wide(repeating: Float(bitPattern: 0x7780_0000))
    let special = SIMD8<UInt32>(repeating: 0).replacing(
      with: SIMD8(repeating: 0x7F80_0000), where: value .>= Wide(repeating: 65536))
    let sign = (bits & SIMD8(repeating: 0x8000)) &<< SIMD8(repeating: 16)
    return unsafeBitCast(unsafeBitCast(value, to: SIMD8<UInt32>.self) | special | sign, to: Wide.self)
  }

  @inline(__always)
  package static func wideStore(_ value: Wide, _ out: UnsafeMutablePointer<Float>) {
    UnsafeMutableRawPointer(out).storeBytes(of: value, as: Wide.self)
  }

  @inline(__always)
  package static func wideMultiplyAdd(_ a: Float, _ b: Wide, _ c: Wide) -> Wide { Wide(repeating: a) * b + c }
}

package enum PortableVectorKernels {
  package static var table: VectorKernels { .table(PortableLanes.self) }
}
