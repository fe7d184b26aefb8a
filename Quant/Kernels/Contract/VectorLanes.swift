public typealias Lanes16 = SIMD16<Float>

/// The few operations that differ between instruction sets. The loops are written once, generic over this protocol
/// and always inlined; a kernel target's conforming type specialises them there, under that target's flags, and its
/// name in every specialised symbol keeps the linker from sharing them with baseline code.
///
/// Rows are worked on 16 lanes at a time, whatever the register width. Conversions between vector types are
/// requirements, not `SIMD16.init`: the compiler emits those as weak generic functions that several targets share.
public protocol VectorLanes: SendableMetatype {
  /// Columns of the attention micro-kernel: as many registers as leave room for six rows of accumulators.
  associatedtype Wide: BitwiseCopyable

  /// a * b + c, fused where the processor can.
  static func multiplyAdd(_ a: Lanes16, _ b: Lanes16, _ c: Lanes16) -> Lanes16
  /// The larger of each pair of lanes. Comparing and replacing comes out as one instruction too, but not where the
  /// result is taken apart.
  static func maximum(_ a: Lanes16, _ b: Lanes16) -> Lanes16
  static func largestLane(_ value: Lanes16) -> Float
  static func widen(_ halves: UnsafePointer<UInt16>) -> Lanes16
  /// `widen` is one instruction.
  static var convertsHalves: Bool { get }
  static func widen(_ integers: UnsafePointer<Int8>) -> Lanes16

  /// Floats in one `Wide`; divides 32.
  static var wideCount: Int { get }
  static var wideZero: Wide { get }
  static func wideLoad(_ floats: UnsafePointer<Float>) -> Wide
  static func wideLoad(_ halves: UnsafePointer<UInt16>) -> Wide
  static func wideStore(_ value: Wide, _ out: UnsafeMutablePointer<Float>)
  /// a * b + c with one factor for all lanes.
  static func wideMultiplyAdd(_ a: Float, _ b: Wide, _ c: Wide) -> Wide
}

@inlinable @inline(__always)
public func load16(_ pointer: UnsafePointer<Float>) -> Lanes16 {
  UnsafeRawPointer(pointer).loadUnaligned(as: Lanes16.self)
}

@inlinable @inline(__always)
public func store16(_ value: Lanes16, _ pointer: UnsafeMutablePointer<Float>) {
  UnsafeMutableRawPointer(pointer).storeBytes(of: value, as: Lanes16.self)
}

/// The first `count` < 16 floats, the other lanes `rest`.
@inlinable @inline(__always)
public func loadTail(_ pointer: UnsafePointer<Float>, _ count: Int, rest: Float = 0) -> Lanes16 {
  var lanes = Lanes16(repeating: rest)
  withUnsafeMutablePointer(to: &lanes) {
    let out = UnsafeMutableRawPointer($0).assumingMemoryBound(to: Float.self)
    for index in 0..<count { out[index] = pointer[index] }
  }
  return lanes
}

@inlinable @inline(__always)
public func storeTail(_ value: Lanes16, _ pointer: UnsafeMutablePointer<Float>, _ count: Int) {
  withUnsafePointer(to: value) {
    let lanes = UnsafeRawPointer($0).assumingMemoryBound(to: Float.self)
    for index in 0..<count { pointer[index] = lanes[index] }
  }
}

/// out[i] = body(out[i], x[i]), sixteen at a time; the tail is padded with zeros.
@inlinable @inline(__always)
public func combineRows(
  _ out: UnsafeMutablePointer<Float>, _ x: UnsafePointer<Float>, _ count: Int, _ body: (Lanes16, Lanes16) -> Lanes16
) {
  var index = 0
  while index < count {
    let rest = count - index
    let whole = rest >= 16
    let value = body(
      whole ? load16(out + index) : loadTail(out + index, rest), whole ? load16(x + index) : loadTail(x + index, rest))
    if whole { store16(value, out + index) } else { storeTail(value, out + index, rest) }
    index += 16
  }
}

@inlinable @inline(__always)
public func larger(_ a: Lanes16, _ b: Lanes16) -> Lanes16 { a.replacing(with: b, where: a .< b) }

@inlinable @inline(__always)
public func smaller(_ a: Lanes16, _ b: Lanes16) -> Lanes16 { a.replacing(with: b, where: a .> b) }

/// Largest lane. `SIMD16.max()` goes lane by lane with NaN rules; this is three vector steps.
@inlinable @inline(__always)
public func largestLane(_ value: Lanes16) -> Float {
  let eights = unsafeBitCast(value, to: (SIMD8<Float>, SIMD8<Float>).self)
  let eight = eights.0.replacing(with: eights.1, where: eights.0 .< eights.1)
  let fours = unsafeBitCast(eight, to: (SIMD4<Float>, SIMD4<Float>).self)
  let four = fours.0.replacing(with: fours.1, where: fours.0 .< fours.1)
  let twos = unsafeBitCast(four, to: (SIMD2<Float>, SIMD2<Float>).self)
  let two = twos.0.replacing(with: twos.1, where: twos.0 .< twos.1)
  return two.x < two.y ? two.y : two.x
}

/// Sum of all lanes, as a fixed tree, so that every kernel set adds in the same order.
@inlinable @inline(__always)
public func laneSum(_ value: Lanes16) -> Float {
  let eights = unsafeBitCast(value, to: (SIMD8<Float>, SIMD8<Float>).self)
  let fours = unsafeBitCast(eights.0 + eights.1, to: (SIMD4<Float>, SIMD4<Float>).self)
  let twos = unsafeBitCast(fours.0 + fours.1, to: (SIMD2<Float>, SIMD2<Float>).self)
  let two = twos.0 + twos.1
  return two.x + two.y
}
