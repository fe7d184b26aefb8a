import OccamCore

/// Seeded numbers of one tensor. A tensor's noise depends on the fixture's seed and the tensor's name alone, so that
/// adding or reordering tensors changes no other one. No libm call: the bits are the same on every machine.
package struct Noise: Sendable {
  private var generator: SeededGenerator

  package init(seed: UInt64, tensor: String) {
    // FNV-1a over the name, spread over the seed.
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in tensor.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
    generator = SeededGenerator(seed: hash &+ seed &* 0x9E37_79B9_7F4A_7C15)
  }

  /// Noise of one row, where rows are made in any order.
  init(seed: UInt64, tensor: String, row: Int) {
    self.init(seed: seed &+ UInt64(row + 1) &* 0xD1B5_4A32_D192_ED03, tensor: tensor)
  }

  /// Bell-shaped, mean 0, deviation 1, within +-3.47: four 16-bit uniform numbers of one draw, summed as integers.
  package mutating func normal() -> Float {
    let bits = generator.next()
    let sum = Int32(bits & 0xFFFF) + Int32((bits >> 16) & 0xFFFF) + Int32((bits >> 32) & 0xFFFF) + Int32(bits >> 48)
    // Four uniform numbers on 0...65535 have mean 131,070 and deviation 65,536 / sqrt(3).
    return Float(sum - 131_070) * (1.732_050_8 / 65_536)
  }

  package mutating func bits() -> UInt64 { generator.next() }
}
