/// SplitMix64 (Steele, Lea, Flood 2014): the same numbers from the same seed on every machine.
package struct SeededGenerator: RandomNumberGenerator, Sendable {
  private var state: UInt64

  package init(seed: UInt64) { state = seed }

  package mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// Uniform in [0, 1), 24 bits.
  package mutating func unitFloat() -> Float { Float(next() >> 40) * (1 / 16_777_216) }

  /// Approximately normal, mean 0 and deviation 1: the sum of twelve uniform numbers less six (Irwin-Hall). No libm
  /// call, so that every machine draws the same bits.
  package mutating func normal() -> Float {
    var sum: Float = -6
    for _ in 0..<12 { sum += unitFloat() }
    return sum
  }
}
