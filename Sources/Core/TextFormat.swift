/// Number formatting without Foundation.

/// Decimal text with exactly `digits` places, rounded half away from zero.
package func fixed(_ value: Double, _ digits: Int) -> String {
  guard value.isFinite else { return value.isNaN ? "nan" : (value < 0 ? "-inf" : "inf") }
  var scale = 1.0
  for _ in 0..<digits { scale *= 10 }
  let magnitude = (abs(value) * scale).rounded()
  guard magnitude < 1e18 else { return "\(value)" }
  let whole = UInt64(magnitude)
  let divisor = UInt64(scale)
  let sign = value < 0 && whole > 0 ? "-" : ""
  guard digits > 0 else { return "\(sign)\(whole)" }
  let fraction = String(whole % divisor)
  return "\(sign)\(whole / divisor).\(String(repeating: "0", count: digits - fraction.count))\(fraction)"
}

/// Text filled with spaces to `width` characters, on the left unless `left` asks for left-aligned text.
package func pad(_ text: String, _ width: Int, left: Bool = false) -> String {
  let fill = String(repeating: " ", count: max(width - text.count, 0))
  return left ? text + fill : fill + text
}

/// Bytes as MiB with one decimal.
package func mebibytes(_ bytes: Int) -> String { fixed(Double(bytes) / 1_048_576, 1) }
