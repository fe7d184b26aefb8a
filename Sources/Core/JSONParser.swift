/// Why a text is not JSON, and where.
package struct JSONError: Error, Equatable, CustomStringConvertible {
  /// From 1.
  package let line: Int
  /// In bytes, from 1.
  package let column: Int
  package let reason: String

  package var description: String { "line \(line), column \(column): \(reason)" }
}

/// What a JSON text may cost.
package struct JSONLimits: Sendable {
  package var bytes = 64 << 20
  package var depth = 64
  /// Values in all, containers included.
  package var values = 1 << 20

  package init() {}
}

extension JSONValue {
  /// Reads one JSON text, strictly: nothing after it, no duplicate names, valid UTF-8, paired surrogates only.
  package init(parsing bytes: [UInt8], limits: JSONLimits = JSONLimits()) throws(JSONError) {
    var parser = JSONParser(bytes: bytes, limits: limits)
    self = try parser.document()
  }

  package init(parsing text: String, limits: JSONLimits = JSONLimits()) throws(JSONError) {
    try self.init(parsing: Array(text.utf8), limits: limits)
  }
}

private struct JSONParser {
  private let bytes: [UInt8]
  private let limits: JSONLimits
  private var position = 0
  private var values = 0

  init(bytes: [UInt8], limits: JSONLimits) {
    self.bytes = bytes
    self.limits = limits
  }

  mutating func document() throws(JSONError) -> JSONValue {
    guard bytes.count <= limits.bytes else { throw error("longer than \(limits.bytes) bytes") }
    let value = try value(depth: 0)
    skipSpace()
    guard position == bytes.count else { throw error("unexpected text after the value") }
    return value
  }

  private func error(_ reason: String) -> JSONError {
    let before = bytes[..<min(position, bytes.count)]
    let start = before.lastIndex(of: 10).map { $0 + 1 } ?? 0
    return JSONError(line: before.count { $0 == 10 } + 1, column: before.count - start + 1, reason: reason)
  }

  private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipSpace() {
    while let byte = current, byte == 32 || byte == 10 || byte == 13 || byte == 9 { position += 1 }
  }

  private mutating func take(_ byte: Character) -> Bool {
    guard current == byte.asciiValue else { return false }
    position += 1
    return true
  }

  private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
    skipSpace()
    values += 1
    guard values <= limits.values else { throw error("more than \(limits.values) values") }
    switch current.map({ Character(Unicode.Scalar($0)) }) {
    case nil: throw error("expected a value, found the end")
    case "{", "[":
      guard depth < limits.depth else { throw error("nested deeper than \(limits.depth)") }
      let isObject = current == 123
      position += 1
      return isObject ? try object(depth: depth + 1) : try array(depth: depth + 1)
    case "\"": return .string(try string())
    case "t": return try word("true", .bool(true))
    case "f": return try word("false", .bool(false))
    case "n": return try word("null", .null)
    case let character? where character == "-" || character.isWholeNumber: return try number()
    default: throw error("expected a value")
    }
  }

  private mutating func word(_ text: String, _ value: JSONValue) throws(JSONError) -> JSONValue {
    guard bytes[position...].starts(with: text.utf8) else { throw error("expected a value") }
    position += text.utf8.count
    return value
  }

  private mutating func array(depth: Int) throws(JSONError) -> JSONValue {
    var elements: [JSONValue] = []
    skipSpace()
    if take("]") { return .array([]) }
    while true {
      elements.append(try value(depth: depth))
      skipSpace()
      if take("]") { return .array(elements) }
      guard take(",") else { throw error("expected ',' or ']'") }
    }
  }

  private mutating func object(depth: Int) throws(JSONError) -> JSONValue {
    var members: [JSONMember] = []
    var names: Set<String> = []
    skipSpace()
    if take("}") { return .object([]) }
    while true {
      skipSpace()
      guard current == 34 else { throw error("expected a member name in quotes") }
      let name = try string()
      guard names.insert(name).inserted else { throw error("the name \"\(name)\" stands twice") }
      skipSpace()
      guard take(":") else { throw error("expected ':'") }
      members.append(JSONMember(name, try value(depth: depth)))
      skipSpace()
      if take("}") { return .object(members) }
      guard take(",") else { throw error("expected ',' or '}'") }
    }
  }

  private mutating func digits() -> Int {
    let start = position
    while let byte = current, byte >= 48, byte <= 57 { position += 1 }
    return position - start
  }

  private mutating func number() throws(JSONError) -> JSONValue {
    let start = position
    _ = take("-")
    let leadingZero = current == 48
    let whole = digits()
    guard whole > 0 else { throw error("expected a digit") }
    guard !leadingZero || whole == 1 else { throw error("a number must not begin with 0") }
    var exact = true
    if take(".") {
      exact = false
      guard digits() > 0 else { throw error("expected a digit after '.'") }
    }
    if take("e") || take("E") {
      exact = false
      if !take("+") { _ = take("-") }
      guard digits() > 0 else { throw error("expected a digit in the exponent") }
    }
    let text = String(decoding: bytes[start..<position], as: UTF8.self)
    if exact, let value = Int(text) { return .integer(value) }
    guard let value = Double(text), value.isFinite else { throw error("the number \(text.prefix(40)) is out of range") }
    return .number(value)
  }

  private mutating func string() throws(JSONError) -> String {
    position += 1
    var content: [UInt8] = []
    while true {
      guard let byte = current else { throw error("a string has no end") }
      switch byte {
      case 34:
        guard let text = String(validating: content, as: UTF8.self) else { throw error("a string is not valid UTF-8") }
        position += 1
        return text
      case 92:
        position += 1
        content.append(contentsOf: try escape())
      case 0..<32: throw error("a control character in a string must be escaped")
      default:
        content.append(byte)
        position += 1
      }
    }
  }

  private mutating func escape() throws(JSONError) -> [UInt8] {
    let code = current ?? 0
    position += 1
    switch Character(Unicode.Scalar(code)) {
    case "\"", "\\", "/": return [code]
    case "b": return [8]
    case "f": return [12]
    case "n": return [10]
    case "r": return [13]
    case "t": return [9]
    case "u":
      let first = try hexadecimal()
      guard let scalar = Unicode.Scalar(first) else { return try secondSurrogate(after: first) }
      return Array(String(Character(scalar)).utf8)
    default:
      position -= 1
      throw error("unknown escape in a string")
    }
  }

  private mutating func secondSurrogate(after first: UInt32) throws(JSONError) -> [UInt8] {
    guard first < 0xDC00, take("\\"), take("u") else { throw error("a surrogate without its pair") }
    let second = try hexadecimal()
    guard second >= 0xDC00, second <= 0xDFFF,
      let scalar = Unicode.Scalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
    else { throw error("a surrogate without its pair") }
    return Array(String(Character(scalar)).utf8)
  }

  private mutating func hexadecimal() throws(JSONError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = current, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw error("expected four hexadecimal digits")
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }
}
