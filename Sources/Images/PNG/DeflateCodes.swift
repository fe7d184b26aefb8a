/// The constants of RFC 1951, section 3.2.5 to 3.2.7.
enum DeflateCodes {
  static let fixedLiteralLengths = [UInt8](
    (0..<288).map { $0 < 144 ? 8 : $0 < 256 ? 9 : $0 < 280 ? 7 : 8 })
  static let fixedDistanceLengths = [UInt8](repeating: 5, count: 30)

  /// The order in which the lengths of the code-length code are sent.
  static let lengthOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]

  /// Shortest match and number of extra bits of length symbol 257...285; (0, 0) for the two that must not occur.
  @inline(__always)
  static func length(_ symbol: Int) -> (base: Int, extra: Int) {
    let index = symbol &- 257
    if index < 8 { return (index &+ 3, 0) }
    if index < 28 {
      let extra = (index &- 4) >> 2
      return ((4 &+ (index & 3)) << extra &+ 3, extra)
    }
    return index == 28 ? (258, 0) : (0, 0)
  }

  /// Shortest distance and number of extra bits of distance symbol 0...29.
  @inline(__always)
  static func distance(_ symbol: Int) -> (base: Int, extra: Int) {
    if symbol < 4 { return (symbol &+ 1, 0) }
    let extra = (symbol &- 2) >> 1
    return ((2 &+ (symbol & 1)) << extra &+ 1, extra)
  }
}
