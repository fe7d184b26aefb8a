import OccamCore

/// Values as text: Python's str() and repr(), and JSON.
extension TemplateEvaluator {
  func string(_ value: TemplateValue) throws(TemplateError) -> TemplateString {
    switch value {
    case .undefined: return ""
    case .string(let text): return text
    default: return try representation(value)
    }
  }

  private func representation(_ value: TemplateValue) throws(TemplateError) -> TemplateString {
    try charge()
    switch value {
    case .undefined: return "Undefined"
    case .none: return "None"
    case .bool(let value): return value ? "True" : "False"
    case .integer(let value): return TemplateString("\(value)")
    case .float(let value): return TemplateString("\(value)")
    case .string(let text):
      try charge(text: text.count)
      return TemplateEvaluator.quoted(text)
    case .list(let list):
      var parts: [TemplateString] = []
      for item in list.items { parts.append(try representation(item)) }
      let text = try joined(parts, ", ")
      if !list.isTuple { return "[" + text + "]" }
      return "(" + text + (parts.count == 1 ? ",)" : ")")
    case .dictionary(let dictionary):
      var parts: [TemplateString] = []
      for (key, value) in zip(dictionary.keys, dictionary.values) {
        parts.append(try representation(key) + ": " + (try representation(value)))
      }
      return "{" + (try joined(parts, ", ")) + "}"
    case .namespace: return "<Namespace>"
    case .loop: return "<LoopContext>"
    case .function, .method, .macro: return "<function>"
    }
  }

  func joined(
    _ parts: [TemplateString], _ separator: TemplateString
  ) throws(TemplateError) -> TemplateString {
    var size = 0
    for part in parts { size += part.count + separator.count }
    guard size <= limits.outputBytes + separator.count else {
      throw limit("a text longer than \(limits.outputBytes) bytes")
    }
    try charge(text: size)
    return .joined(parts, separator)
  }

  private static func quoted(_ text: TemplateString) -> TemplateString {
    let quote: Unicode.Scalar = text.text.utf8.contains(39) && !text.text.utf8.contains(34) ? "\"" : "'"
    let mark = TemplateString(String(Character(quote)))
    return mark + text.map { escaped($0, quote) } + mark
  }

  private static func escaped(_ text: String, _ quote: Unicode.Scalar) -> String {
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": result.append(contentsOf: "\\\\".unicodeScalars)
      case "\n": result.append(contentsOf: "\\n".unicodeScalars)
      case "\r": result.append(contentsOf: "\\r".unicodeScalars)
      case "\t": result.append(contentsOf: "\\t".unicodeScalars)
      case quote:
        result.append("\\")
        result.append(quote)
      case _ where scalar.value < 32 || (127..<161).contains(scalar.value):
        let digits = String(scalar.value, radix: 16)
        result.append(contentsOf: "\\x\(digits.count < 2 ? "0" : "")\(digits)".unicodeScalars)
      default: result.append(scalar)
      }
    }
    return String(result)
  }

  /// Python's json.dumps without escaping other letters, as chat templates expect it.
  func json(
    _ value: TemplateValue, _ style: JSONStyle, level: Int = 0
  ) throws(TemplateError) -> TemplateString {
    try charge()
    switch value {
    case .none: return "null"
    case .bool(let value): return value ? "true" : "false"
    case .integer(let value): return TemplateString("\(value)")
    case .float(let value):
      return value.isFinite
        ? TemplateString("\(value)") : value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity"
    case .string(let text):
      try charge(text: text.count)
      return TemplateEvaluator.json(text)
    case .list(let list):
      var parts: [TemplateString] = []
      for item in list.items { parts.append(try json(item, style, level: level + 1)) }
      return try wrapped(parts, "[", "]", style, level: level)
    case .dictionary(let dictionary):
      var parts: [TemplateString] = []
      for (key, value) in zip(dictionary.keys, dictionary.values) {
        let name: TemplateString
        if case .string(let text) = key { name = text } else { name = try json(key, JSONStyle()) }
        let text = try json(value, style, level: level + 1)
        parts.append(TemplateEvaluator.json(name) + style.keySeparator + text)
      }
      return try wrapped(parts, "{", "}", style, level: level)
    default: throw fail("\(value.typeName) cannot become JSON")
    }
  }

  private static func json(_ text: TemplateString) -> TemplateString {
    "\"" + text.map { String(JSONValue.string($0).text().unicodeScalars.dropFirst().dropLast()) } + "\""
  }

  private func wrapped(
    _ parts: [TemplateString], _ open: TemplateString, _ close: TemplateString, _ style: JSONStyle, level: Int
  ) throws(TemplateError) -> TemplateString {
    guard let indent = style.indent, !parts.isEmpty else {
      return open + (try joined(parts, style.itemSeparator)) + close
    }
    let inner = TemplateString("\n" + String(repeating: " ", count: indent * (level + 1)))
    let outer = TemplateString("\n" + String(repeating: " ", count: indent * level))
    return open + inner + (try joined(parts, style.itemSeparator + inner)) + outer + close
  }
}

/// How JSON is laid out.
struct JSONStyle {
  /// Spaces per level; nil: one line.
  var indent: Int?
  var itemSeparator: TemplateString = ", "
  var keySeparator: TemplateString = ": "
}
