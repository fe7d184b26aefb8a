import OccamKernelContract

/// Plain SIMD types: whatever 128-bit instructions the baseline has. Without FMA instructions `addingProduct` would
/// call the C library for every lane, hence product and sum.
package enum PortableLanes: VectorLanes {
  @inline(__always)
  package static func multiplyAdd(_ a: Lanes16, _ b: Lanes16, _ c: Lanes16) -> Lanes16 { a * b + c }

  @inline(__always)
  package static func widen(_ halves: UnsafePointer<UInt16>) -> Lanes16 {
    var lanes = Lanes16()
    for lane in 0..<16 { lanes[lane] = floatFromHalf(halves[lane]) }
    return lanes
  }

  @inline(__always)
  package static func widen(_ integers: UnsafePointer<Int8>) -> Lanes16 {
    var lanes = Lanes16()
    for lane in 0..<16 { lanes[lane] = Float(integers[lane]) }
    return lanes
  }

  package typealias Wide = SIMD8<Float>
  @inline(__always) package static var wideCount: Int { 8 }
  @inline(__always) package static var wideZero: Wide { Wide(repeating: 0) }

  @inline(__always)
  package static func wideLoad(_ floats: UnsafePointer<Float>) -> Wide {
    UnsafeRawPointer(floats).loadUnaligned(as: Wide.self)
  }

  @inline(__always)
  package static func wideLoad(_ halves: UnsafePointer<UInt16>) -> Wide {
    var lanes = Wide()
    for lane in 0..<8 { lanes[lane] = floatFromHalf(halves[lane]) }
    return lanes
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
