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

struct JSONParser {
  let bytes: [UInt8]
  private let limits: JSONLimits
  var position = 0
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

  func error(_ reason: String) -> JSONError {
    let before = bytes[..<min(position, bytes.count)]
    let start = before.lastIndex(of: 10).map { $0 + 1 } ?? 0
    return JSONError(line: before.count { $0 == 10 } + 1, column: before.count - start + 1, reason: reason)
  }

  var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipSpace() {
    while let byte = current, byte == 32 || byte == 10 || byte == 13 || byte == 9 { position += 1 }
  }

  mutating func take(_ scalar: Unicode.Scalar) -> Bool {
    guard let byte = current, Unicode.Scalar(byte) == scalar else { return false }
    position += 1
    return true
  }

  private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
    skipSpace()
    values += 1
    guard values <= limits.values else { throw error("more than \(limits.values) values") }
    switch current.map({ Unicode.Scalar($0) }) {
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
    case let scalar? where scalar == "-" || ("0"..."9").contains(scalar): return try number()
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
    // Their bytes: strings are equal, too, where one character is written in two ways, and such names are two.
    var names: Set<[UInt8]> = []
    skipSpace()
    if take("}") { return .object([]) }
    while true {
      skipSpace()
      guard current == 34 else { throw error("expected a member name in quotes") }
      let name = try string()
      guard names.insert(Array(name.utf8)).inserted else { throw error("the name \"\(name.prefix(40))\" stands twice") }
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
}
