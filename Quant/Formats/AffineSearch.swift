/// Finds scale, min and levels of eight sub-blocks of numbers, x ~ scale * level - min: the search behind Q2_K, Q4_K and
/// Q5_K. Candidate grids of slightly different pitch are laid over each sub-block; for each the weighted
/// least-squares scale and min are solved, and the candidate of least weighted error wins.
///
/// The float operations and their order are those of ggml's reference, so that the bytes are equal too.
struct AffineSearch {
  /// Numbers of a sub-block, at most `Scratch.most`.
  let count: Int
  /// The largest level: 3, 15 or 31.
  let highest: Float
  /// Candidate c, 0...candidates, has highest + first + 0.1 * c steps over the range.
  let first: Float
  let candidates: Int
  /// Errors count by magnitude, and numbers by their own; else squared, and the sub-block's root mean square is added.
  let isAbsolute: Bool

  struct Fit {
    /// Per sub-block, before their own quantization.
    var scales: Lanes
    var mins: Lanes
  }

  /// Working memory: numbers, weights, best levels, candidate levels, `most` lanes each.
  struct Scratch {
    static let most = 32
    static let lanes = 4 * most

    let x: UnsafeMutablePointer<Lanes>
    let weights: UnsafeMutablePointer<Lanes>
    let levels: UnsafeMutablePointer<Lanes>
    let trial: UnsafeMutablePointer<Lanes>

    init(_ memory: UnsafeMutablePointer<Lanes>) {
      x = memory
      weights = memory + Self.most
      levels = memory + 2 * Self.most
      trial = memory + 3 * Self.most
    }
  }

  /// Encodes the super-block at `x`: 256 levels to `scratch.levels` (lane = sub-block), d, dmin and the packed scales
  /// to the head of `block`, which Q4_K and Q5_K share.
  func encode(_ x: UnsafePointer<Float>, _ scratch: Scratch, head block: UnsafeMutableRawPointer) {
    load(x, scratch)
    let fit = search(scratch)
    var largestScale: Float = 0
    var largestMin: Float = 0
    for j in 0..<8 {
      if fit.scales[j] > largestScale { largestScale = fit.scales[j] }
      if fit.mins[j] > largestMin { largestMin = fit.mins[j] }
    }
    let inverseScale = largestScale > 0 ? 63 / largestScale : 0
    let inverseMin = largestMin > 0 ? 63 / largestMin : 0
    var scales = SIMD8<UInt8>()
    var mins = SIMD8<UInt8>()
    for j in 0..<8 {
      scales[j] = min(UInt8(truncatingIfNeeded: Rounding.nearest(inverseScale * fit.scales[j])), 63)
      mins[j] = min(UInt8(truncatingIfNeeded: Rounding.nearest(inverseMin * fit.mins[j])), 63)
    }
    let d = Half.bits(largestScale / 63)
    let dmin = Half.bits(largestMin / 63)
    block.storeBytes(of: d, toByteOffset: BlockQ4_K.d, as: UInt16.self)
    block.storeBytes(of: dmin, toByteOffset: BlockQ4_K.dmin, as: UInt16.self)
    SixBitScales.pack(scales: scales, mins: mins, into: block + BlockQ4_K.scales)
    requantize(scratch, Lanes(scales) * Half.float(d), Lanes(mins) * Half.float(dmin))
  }

  /// Numbers lane by lane, and their weights: root mean square of the sub-block, if that counts, plus the number's own
  /// magnitude.
  func load(_ x: UnsafePointer<Float>, _ scratch: Scratch) {
    var squares = Lanes()
    for i in 0..<count {
      var lanes = Lanes()
      for j in 0..<8 { lanes[j] = x[j * count + i] }
      scratch.x[i] = lanes
      squares += lanes * lanes
    }
    let rootMeanSquare = isAbsolute ? Lanes() : (squares / Float(count)).squareRoot()
    for i in 0..<count {
      let x = scratch.x[i]
      scratch.weights[i] = rootMeanSquare + x.replacing(with: -x, where: x .< 0)
    }
  }

  func search(_ scratch: Scratch) -> Fit {
    let (x, weights) = (scratch.x, scratch.weights)
    var lowest = x[0]
    var largest = x[0]
    var sumW = weights[0]
    var sumX = weights[0] * x[0]
    for i in 1..<count {
      lowest.replace(with: x[i], where: x[i] .< lowest)
      largest.replace(with: x[i], where: x[i] .> largest)
      sumW += weights[i]
      sumX += weights[i] * x[i]
    }
    lowest.replace(with: 0, where: lowest .> 0)
    let range = largest - lowest
    let constant = largest .== lowest
    var scale = 1 / (highest / range)
    var offset = lowest
    fill(scratch.levels, x, highest / range, lowest)
    var leastError = error(scratch.levels, scratch, scale, offset)
    for candidate in 0...candidates {
      // Every candidate starts from the best offset so far, not from the smallest number.
      fill(scratch.trial, x, (first + 0.1 * Float(candidate) + highest) / (largest - offset), offset)
      var (sumL, sumLL, sumXL) = (Lanes(), Lanes(), Lanes())
      for i in 0..<count {
        let weighted = weights[i] * scratch.trial[i]
        sumL += weighted
        sumLL += weighted * scratch.trial[i]
        sumXL += weighted * x[i]
      }
      let determinant = sumW * sumLL - sumL * sumL
      var thisScale = (sumW * sumXL - sumX * sumL) / determinant
      var thisOffset = (sumLL * sumX - sumL * sumXL) / determinant
      // The format cannot hold an offset above zero: then the line goes through the origin.
      let positive = thisOffset .> 0
      thisOffset.replace(with: 0, where: positive)
      thisScale.replace(with: sumXL / sumLL, where: positive)
      let thisError = error(scratch.trial, scratch, thisScale, thisOffset)
      let better = (determinant .> 0) .& (thisError .< leastError)
      guard better != SIMDMask(repeating: false) else { continue }
      leastError.replace(with: thisError, where: better)
      scale.replace(with: thisScale, where: better)
      offset.replace(with: thisOffset, where: better)
      for i in 0..<count { scratch.levels[i].replace(with: scratch.trial[i], where: better) }
    }
    scale.replace(with: 0, where: constant)
    offset.replace(with: lowest, where: constant)
    for i in 0..<count { scratch.levels[i].replace(with: 0, where: constant) }
    return Fit(scales: scale, mins: -offset)
  }

  @inline(__always)
  private func fill(
    _ levels: UnsafeMutablePointer<Lanes>, _ x: UnsafeMutablePointer<Lanes>, _ inverse: Lanes, _ lowest: Lanes
  ) {
    for i in 0..<count { levels[i] = Rounding.level(inverse * (x[i] - lowest), 0, highest) }
  }

  @inline(__always)
  private func error(
    _ levels: UnsafeMutablePointer<Lanes>, _ scratch: Scratch, _ scale: Lanes, _ offset: Lanes
  ) -> Lanes {
    var sum = Lanes()
    for i in 0..<count {
      let difference = scale * levels[i] + offset - scratch.x[i]
      let size = isAbsolute ? difference.replacing(with: -difference, where: difference .< 0) : difference * difference
      sum += scratch.weights[i] * size
    }
    return sum
  }

  /// Levels for the scales and mins as they will be read back; sub-blocks whose scale came out as 0 keep the
  /// search's levels, which are then multiplied by 0.
  func requantize(_ scratch: Scratch, _ scale: Lanes, _ min: Lanes) {
    let usable = scale .!= 0
    for i in 0..<count {
      let level = Rounding.level((scratch.x[i] + min) / scale, 0, highest)
      scratch.levels[i].replace(with: level, where: usable)
    }
  }
}
