/// Sixteen values that four bits choose from.
@usableFromInline
package enum Codebook {
  /// IQ4_NL and IQ4_XS (kvalues_iq4nl of ggml-common.h): rising, denser around zero.
  @inlinable
  @inline(__always)
  package static var iq4: SIMD16<Int8> {
    SIMD16(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
  }

  /// Twice the values of E2M1, sign in the highest bit (OCP Microscaling Formats 1.0, 5.3.3).
  @inlinable
  @inline(__always)
  package static var fp4: SIMD16<Int8> {
    SIMD16(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)
  }

  /// 16 bytes of nibbles -> 32 values times d: low nibbles first.
  @inline(__always)
  static func decode(
    _ values: SIMD16<Int8>, _ quants: UnsafeRawPointer, _ d: Float, into x: UnsafeMutablePointer<Float>
  ) {
    let quants = quants.assumingMemoryBound(to: UInt8.self)
    for i in 0..<16 {
      x[i] = d * Float(values[Int(quants[i] & 15)])
      x[i + 16] = d * Float(values[Int(quants[i] >> 4)])
    }
  }
}

/// Finds the scale of 32 numbers, x ~ scale * value of `Codebook.iq4`: the search behind IQ4_NL and IQ4_XS. Fifteen pitches
/// around the two that put the number of largest magnitude on an end are tried; numbers weigh their own squares, and the
/// candidate that explains most of the weighted energy wins.
///
/// The float operations and their order are those of ggml's reference, so that the bytes are equal too.
enum CodebookSearch {
  static let count = 32
  private static let reach = 7

  /// - Returns: the scale, either sign; 0 for numbers without magnitude.
  static func scale(_ x: UnsafePointer<Float>) -> Float {
    var magnitude: Float = 0
    var extreme: Float = 0
    for i in 0..<count where x[i].magnitude > magnitude {
      magnitude = x[i].magnitude
      extreme = x[i]
    }
    guard magnitude >= SymmetricSearch.smallest else { return 0 }
    let lowest = Float(Codebook.iq4[0])
    // Lane 0: the pitch the search starts from; then fifteen candidates, each a sum in the order of a plain loop.
    var inverses = SIMD16<Float>()
    inverses[0] = 1 / (-extreme / lowest)
    for step in -reach...reach { inverses[step + reach + 1] = (Float(step) + lowest) / extreme }
    var energies = (SIMD16<Float>(), SIMD16<Float>())
    for i in 0..<count {
      let values = CodebookSearch.nearest(inverses * x[i])
      let weighted = (x[i] * x[i]) * values
      energies.0 += weighted * x[i]
      energies.1 += weighted * values
    }
    let (sumQX, sumQQ) = energies
    var scale = sumQQ[0] > 0 ? sumQX[0] / sumQQ[0] : 0
    var best = scale * sumQX[0]
    for lane in 1..<16 where sumQQ[lane] > 0 && sumQX[lane] * sumQX[lane] > best * sumQQ[lane] {
      scale = sumQX[lane] / sumQQ[lane]
      best = scale * sumQX[lane]
    }
    return scale
  }

  /// The nearest values; halfway between two of them the larger.
  @inline(__always)
  private static func nearest(_ v: SIMD16<Float>) -> SIMD16<Float> {
    var nearest = SIMD16<Float>(repeating: Float(Codebook.iq4[0]))
    for i in 1..<16 {
      let (low, high) = (Float(Codebook.iq4[i - 1]), Float(Codebook.iq4[i]))
      nearest.replace(with: high, where: v .>= (low + high) / 2)
    }
    return nearest
  }

  /// 32 numbers times `inverse` -> 16 bytes of nibbles.
  static func store(_ x: UnsafePointer<Float>, _ inverse: Float, _ quants: UnsafeMutableRawPointer) {
    for i in 0..<16 {
      let code = index(x[i] * inverse) | index(x[i + 16] * inverse) << 4
      quants.storeBytes(of: code, toByteOffset: i, as: UInt8.self)
    }
  }

  @inline(__always)
  private static func index(_ v: Float) -> UInt8 {
    var index: UInt8 = 0
    for i in 1..<16 {
      index &+= v >= (Float(Codebook.iq4[i - 1]) + Float(Codebook.iq4[i])) / 2 ? 1 : 0
    }
    return index
  }
}
