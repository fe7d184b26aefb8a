import OccamCore

/// Values as text: Python's str() and repr(), and JSON.
extension TemplateEvaluator {
  func string(_ value: TemplateValue) throws(TemplateError) -> String {
    switch value {
    case .undefined: return ""
    case .string(let text): return text
    default: return try representation(value)
    }
  }

  private func representation(_ value: TemplateValue) throws(TemplateError) -> String {
    try charge()
    switch value {
    case .undefined: return "Undefined"
    case .none: return "None"
    case .bool(let value): return value ? "True" : "False"
    case .integer(let value): return "\(value)"
    case .float(let value): return "\(value)"
    case .string(let text):
      try charge(text: text.utf8.count)
      return TemplateEvaluator.quoted(text)
    case .list(let list):
      var parts: [String] = []
      for item in list.items { parts.append(try representation(item)) }
      let text = try joined(parts, ", ")
      if !list.isTuple { return "[\(text)]" }
      return parts.count == 1 ? "(\(text),)" : "(\(text))"
    case .dictionary(let dictionary):
      var parts: [String] = []
      for (key, value) in zip(dictionary.keys, dictionary.values) {
        parts.append("\(try representation(key)): \(try representation(value))")
      }
      return "{\(try joined(parts, ", "))}"
    case .namespace: return "<Namespace>"
    case .loop: return "<LoopContext>"
    case .function, .method, .macro: return "<function>"
    }
  }

  func joined(_ parts: [String], _ separator: String) throws(TemplateError) -> String {
    var size = 0
    for part in parts { size += part.utf8.count + separator.utf8.count }
    guard size <= limits.outputBytes + separator.utf8.count else {
      throw limit("a text longer than \(limits.outputBytes) bytes")
    }
    try charge(text: size)
    return parts.joined(separator: separator)
  }

  private static func quoted(_ text: String) -> String {
    let quote: Unicode.Scalar = text.utf8.contains(39) && !text.utf8.contains(34) ? "\"" : "'"
    var result = String.UnicodeScalarView()
    result.append(quote)
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
    result.append(quote)
    return String(result)
  }

  /// Python's json.dumps without escaping other letters, as chat templates expect it.
  func json(_ value: TemplateValue, _ style: JSONStyle, level: Int = 0) throws(TemplateError) -> String {
    try charge()
    switch value {
    case .none: return "null"
    case .bool(let value): return value ? "true" : "false"
    case .integer(let value): return "\(value)"
    case .float(let value):
      return value.isFinite ? "\(value)" : value.isNaN ? "NaN" : value < 0 ? "-Infinity" : "Infinity"
    case .string(let text):
      try charge(text: text.utf8.count)
      return JSONValue.string(text).text()
    case .list(let list):
      var parts: [String] = []
      for item in list.items { parts.append(try json(item, style, level: level + 1)) }
      return try wrapped(parts, "[", "]", style, level: level)
    case .dictionary(let dictionary):
      var parts: [String] = []
      for (key, value) in zip(dictionary.keys, dictionary.values) {
        let name: String
        if case .string(let text) = key { name = text } else { name = try json(key, JSONStyle()) }
        let text = try json(value, style, level: level + 1)
        parts.append(JSONValue.string(name).text() + style.keySeparator + text)
      }
      return try wrapped(parts, "{", "}", style, level: level)
    default: throw fail("\(value.typeName) cannot become JSON")
    }
  }

  private func wrapped(
    _ parts: [String], _ open: String, _ close: String, _ style: JSONStyle, level: Int
  ) throws(TemplateError) -> String {
    guard let indent = style.indent, !parts.isEmpty else {
      return open + (try joined(parts, style.itemSeparator)) + close
    }
    let inner = "\n" + String(repeating: " ", count: indent * (level + 1))
    return open + inner + (try joined(parts, style.itemSeparator + inner)) + "\n"
      + String(repeating: " ", count: indent * level) + close
  }
}

/// How JSON is laid out.
struct JSONStyle {
  /// Spaces per level; nil: one line.
  var indent: Int?
  var itemSeparator = ", "
  var keySeparator = ": "
}
