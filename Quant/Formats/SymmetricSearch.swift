/// Finds scale and levels of eight sub-blocks of 16 numbers each, x ~ scale * (level - 32): the search behind Q6_K.
/// Around the pitch that puts the largest magnitude on -32, eighteen more are tried; weights are x squared, and the
/// candidate that explains most of the weighted energy wins.
///
/// The float operations and their order are those of ggml's reference, so that the bytes are equal too.
enum SymmetricSearch {
  static let count = 16

  /// A sub-block with no magnitude beyond this counts as zero.
  static let smallest: Float = 1e-15

  /// - Parameters: x: 128 numbers; levels: receives 128 levels, 0...63, in the same order.
  /// - Returns: the scale of each sub-block, either sign; 0 for a zero sub-block.
  static func search(_ x: UnsafePointer<Float>, _ levels: UnsafeMutablePointer<UInt8>) -> Lanes {
    withUnsafeTemporaryAllocation(of: Lanes.self, capacity: 2 * count) { memory in
      guard let numbers = memory.baseAddress else { return Lanes() }
      let best = numbers + count
      var extreme = Lanes()
      var magnitude = Lanes()
      for i in 0..<count {
        let lanes = gather(x, i)
        numbers[i] = lanes
        let absolute = lanes.replacing(with: -lanes, where: lanes .< 0)
        extreme.replace(with: lanes, where: absolute .> magnitude)
        magnitude.replace(with: absolute, where: absolute .> magnitude)
      }
      let inverse = -32 / extreme
      let (sumLX, sumLL) = sums(numbers, inverse)
      var scale = (sumLX / sumLL).replacing(with: 0, where: sumLL .== 0)
      var energy = scale * sumLX
      var bestInverse = inverse
      for step in -9...9 where step != 0 {
        let inverse = -(32 + 0.1 * Float(step)) / extreme
        let (sumLX, sumLL) = sums(numbers, inverse)
        let better = (sumLL .> 0) .& (sumLX * sumLX .> energy * sumLL)
        let thisScale = sumLX / sumLL
        scale.replace(with: thisScale, where: better)
        energy.replace(with: thisScale * sumLX, where: better)
        bestInverse.replace(with: inverse, where: better)
      }
      let zero = magnitude .< smallest
      scale.replace(with: 0, where: zero)
      for i in 0..<count {
        best[i] = (Rounding.level(bestInverse * numbers[i], -32, 31) + 32).replacing(with: 0, where: zero)
        scatter(best[i], levels, i)
      }
      return scale
    }
  }

  /// Levels for the scales as they will be read back; a sub-block whose scale came out as 0 keeps its levels.
  static func requantize(
    _ x: UnsafePointer<Float>, d: Float, scales: UnsafePointer<Int8>, _ levels: UnsafeMutablePointer<UInt8>
  ) {
    for j in 0..<8 {
      let scale = d * Float(scales[j])
      if scale == 0 { continue }
      for i in stride(from: count * j, to: count * (j + 1), by: 8) {
        let numbers = UnsafeRawPointer(x + i).loadUnaligned(as: Lanes.self)
        let level = Rounding.level(numbers / scale, -32, 31) + 32
        for k in 0..<8 { levels[i + k] = UInt8(truncatingIfNeeded: Rounding.nearest(level[k])) }
      }
    }
  }

  @inline(__always)
  private static func sums(_ numbers: UnsafeMutablePointer<Lanes>, _ inverse: Lanes) -> (Lanes, Lanes) {
    var (sumLX, sumLL) = (Lanes(), Lanes())
    for i in 0..<count {
      let x = numbers[i]
      let level = Rounding.level(inverse * x, -32, 31)
      let weight = x * x
      sumLX += weight * x * level
      sumLL += weight * level * level
    }
    return (sumLX, sumLL)
  }

  @inline(__always)
  private static func gather(_ x: UnsafePointer<Float>, _ i: Int) -> Lanes {
    var lanes = Lanes()
    for j in 0..<8 { lanes[j] = x[j * count + i] }
    return lanes
  }

  @inline(__always)
  private static func scatter(_ lanes: Lanes, _ levels: UnsafeMutablePointer<UInt8>, _ i: Int) {
    for j in 0..<8 { levels[j * count + i] = UInt8(truncatingIfNeeded: Rounding.nearest(lanes[j])) }
  }
}
