extension JSONValue {
  /// JSON text, on one line or indented by two spaces. Numbers that JSON cannot hold (infinite, not a number) become
  /// null.
  package func text(indented: Bool = false) -> String {
    var output = ""
    write(to: &output, indent: indented ? 0 : nil)
    return output
  }

  private func write(to output: inout String, indent: Int?) {
    switch self {
    case .null: output += "null"
    case .bool(let value): output += value ? "true" : "false"
    case .integer(let value): output += "\(value)"
    case .number(let value): output += value.isFinite ? "\(value)" : "null"
    case .string(let value): JSONValue.quote(value, to: &output)
    case .array(let elements):
      list("[", "]", elements, to: &output, indent: indent) { element, output, indent in
        element.write(to: &output, indent: indent)
      }
    case .object(let members):
      list("{", "}", members, to: &output, indent: indent) { member, output, indent in
        JSONValue.quote(member.name, to: &output)
        output += indent == nil ? ":" : ": "
        member.value.write(to: &output, indent: indent)
      }
    }
  }

  private func list<Element>(
    _ open: String, _ close: String, _ elements: [Element], to output: inout String, indent: Int?,
    _ body: (Element, inout String, Int?) -> Void
  ) {
    output += open
    let inner = indent.map { $0 + 1 }
    for (index, element) in elements.enumerated() {
      if index > 0 { output += "," }
      if let inner { output += "\n" + String(repeating: "  ", count: inner) }
      body(element, &output, inner)
    }
    if let indent, !elements.isEmpty { output += "\n" + String(repeating: "  ", count: indent) }
    output += close
  }

  private static func quote(_ text: String, to output: inout String) {
    output += "\""
    var text = text
    text.withUTF8 { bytes in
      var start = 0
      while true {
        // A run ends in front of an ASCII byte, or at the end: it is whole characters.
        let end = JSONParser.endOfRun(in: UnsafeRawBufferPointer(bytes), from: start)
        output += String(decoding: bytes[start..<end], as: UTF8.self)
        guard end < bytes.count else { break }
        output += escape(bytes[end])
        start = end + 1
      }
    }
    output += "\""
  }

  /// A character of ASCII as a string holds it behind a backslash.
  package static func escape(_ byte: UInt8) -> String {
    switch Unicode.Scalar(byte) {
    case "\"": return "\\\""
    case "\\": return "\\\\"
    case "\n": return "\\n"
    case "\r": return "\\r"
    case "\t": return "\\t"
    case "\u{8}": return "\\b"
    case "\u{C}": return "\\f"
    default:
      let digits = String(byte, radix: 16)
      return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    }
  }
}
