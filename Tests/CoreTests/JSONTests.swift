import OccamCore
import Testing

@Suite struct JSONTests {
  static func error(_ text: String, limits: JSONLimits = JSONLimits()) -> JSONError? {
    do {
      _ = try JSONValue(parsing: text, limits: limits)
      return nil
    } catch {
      return error
    }
  }

  @Test func everyKindOfValue() throws {
    let value = try JSONValue(parsing: " {\"a\": [1, -2.5, 1e3, true, false, null, \"x\"], \"b\": {}, \"c\": []}\n")
    #expect(value == ["a": [1, -2.5, 1000.0, true, false, nil, "x"], "b": [:], "c": []])
    #expect(value["a"]?.arrayValue?.count == 7)
    #expect(value["missing"] == nil && value["a"]?["x"] == nil)
  }

  @Test func numbersAreExact() throws {
    func parse(_ text: String) throws -> JSONValue { try JSONValue(parsing: text) }
    #expect(try parse("9223372036854775807") == .integer(.max))
    #expect(try parse("-9223372036854775808") == .integer(.min))
    #expect(try parse("9223372036854775808") == .number(9_223_372_036_854_775_808))
    #expect(try parse("0.1") == .number(0.1))
    #expect(try parse("-0") == .integer(0))
    #expect(try parse("5e-324") == .number(.leastNonzeroMagnitude))
    #expect(try parse("1.7976931348623157e308") == .number(.greatestFiniteMagnitude))
    #expect(try parse("2.0").intValue == 2)
    #expect(try parse("2.5").intValue == nil)
    #expect(try parse("7").doubleValue == 7)
  }

  @Test func escapesAndSurrogates() throws {
    let text = #""\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\ud83d\ude00 😀""#
    #expect(try JSONValue(parsing: text) == .string("\"\\/\u{8}\u{C}\n\r\tAé€😀 😀"))
  }

  @Test(arguments: [
    ("", "expected a value, found the end"), ("  ", "expected a value, found the end"),
    ("{", "expected a member name in quotes"), ("[1", "expected ',' or ']'"), ("[1,]", "expected a value"),
    ("{\"a\":1,}", "expected a member name in quotes"), ("{\"a\" 1}", "expected ':'"),
    ("{\"a\":1 2}", "expected ',' or '}'"),
    ("{\"a\":1,\"a\":2}", "the name \"a\" stands twice"), ("1 2", "unexpected text after the value"),
    ("01", "a number must not begin with 0"), ("-", "expected a digit"), ("1.", "expected a digit after '.'"),
    ("1e", "expected a digit in the exponent"), ("1e999", "the number 1e999 is out of range"),
    (".5", "expected a value"), ("+1", "expected a value"), ("NaN", "expected a value"), ("tru", "expected a value"),
    ("\"abc", "a string has no end"), ("\"a\nb\"", "a control character in a string must be escaped"),
    ("\"\\x\"", "unknown escape in a string"), ("\"\\u12\"", "expected four hexadecimal digits"),
    ("\"\\ud800\"", "a surrogate without its pair"), ("\"\\ud800\\u0041\"", "a surrogate without its pair"),
    ("\"\\udc00\"", "a surrogate without its pair"), ("\"\\", "unknown escape in a string"),
    ("'a'", "expected a value"),
  ]) func malformedTextIsRefused(text: String, reason: String) {
    #expect(JSONTests.error(text)?.reason == reason)
  }

  /// Strings are scanned by words: a quote, an escape or a control character at every place of one, and between bytes
  /// whose differences from those borrow.
  @Test(arguments: [0...0x21, 0x22...0x22, 0x5B...0x5D, 0x7F...0x7F, 0xA2...0xA2] as [ClosedRange<UInt8>])
  func stringsOfEveryLength(_ codes: ClosedRange<UInt8>) throws {
    for length in 0..<70 {
      let plain = String(repeating: "!", count: length)
      #expect(try JSONValue(parsing: "[\"\(plain)\", \"#\"]") == [.string(plain), "#"])
      for code in codes {
        let scalar = Unicode.Scalar(code)
        let text = plain + String(Character(scalar)) + "]~é#"
        let value = JSONValue.string(text)
        #expect(try JSONValue(parsing: value.text()).stringValue == text)
        let raw = "\"\(text)\""
        let stops = code < 32 || code == 34 || code == 92
        #expect((JSONTests.error(raw) == nil) == !stops)
        if code < 32 {
          #expect(JSONTests.error(raw)?.column == length + 2)
          #expect(JSONTests.error(raw)?.reason == "a control character in a string must be escaped" || code == 10)
        }
      }
    }
  }

  @Test func invalidUTF8IsRefused() {
    for bytes: [UInt8] in [[34, 0xFF, 34], [34, 0xC3, 34], [34, 0xED, 0xA0, 0x80, 34], [0xC3, 0xA9], [0xB2]] {
      #expect(throws: JSONError.self) { try JSONValue(parsing: bytes) }
    }
  }

  @Test func everyPrefixAndEveryChangedByteIsAnErrorOrAValue() {
    let text = Array(#"{"a": [1, -2.5e3, true, null], "b\u00e9": {"c": "\ud83d\ude00"}}"#.utf8)
    for count in 0..<text.count {
      #expect(throws: JSONError.self) { try JSONValue(parsing: Array(text[..<count])) }
    }
    var accepted = 0
    for index in text.indices {
      for byte: UInt8 in 0...255 {
        var changed = text
        changed[index] = byte
        if (try? JSONValue(parsing: changed)) != nil { accepted += 1 }
      }
    }
    #expect(accepted >= text.count)
  }

  /// As RFC 8259 has it, by code units: one character written in two ways makes two names.
  @Test func namesAreTheirBytes() throws {
    let value = try JSONValue(parsing: #"{"\u00e9": 1, "e\u0301": 2}"#)
    #expect(value["\u{E9}"] == 1 && value["e\u{301}"] == 2)
    #expect(JSONTests.error("{\"\\u00e9\": 1, \"\u{E9}\": 2}")?.reason.hasSuffix("stands twice") == true)
  }

  @Test func positionsCountFromOne() {
    #expect(JSONTests.error("[1,\n  x]")?.description == "line 2, column 3: expected a value")
  }

  @Test func limitsHold() {
    var limits = JSONLimits()
    limits.depth = 3
    #expect(JSONTests.error("[[[1]]]", limits: limits) == nil)
    #expect(JSONTests.error("[[[[1]]]]", limits: limits)?.reason == "nested deeper than 3")
    #expect(JSONTests.error(String(repeating: "[", count: 100_000))?.reason == "nested deeper than 64")
    limits.values = 4
    #expect(JSONTests.error("[1,2,3]", limits: limits) == nil)
    #expect(JSONTests.error("[1,2,3,4]", limits: limits)?.reason == "more than 4 values")
    limits.bytes = 5
    #expect(JSONTests.error("[1,2]", limits: limits) == nil)
    #expect(JSONTests.error("[1,2] ", limits: limits)?.reason == "longer than 5 bytes")
  }

  @Test func writesWhatItReads() throws {
    let value: JSONValue = [
      "text": "a\"\\\n\t\u{1}\u{1F}é😀", "numbers": [0, -7, 0.1, 1e300, 1e-7], "empty": [], "object": [:],
      "nothing": nil,
    ]
    #expect(try JSONValue(parsing: value.text()) == value)
    #expect(try JSONValue(parsing: value.text(indented: true)) == value)
    let small: JSONValue = ["a": [1, "x\n"], "b": [:]]
    #expect(small.text() == #"{"a":[1,"x\n"],"b":{}}"#)
    #expect(small.text(indented: true) == "{\n  \"a\": [\n    1,\n    \"x\\n\"\n  ],\n  \"b\": {}\n}")
    #expect(JSONValue.string("\u{1}").text() == #""\u0001""#)
    #expect(JSONValue.array([.number(.nan), .number(-.infinity)]).text() == "[null,null]")
  }

  @Test func floatsAreShortAndExact() throws {
    #expect(JSONValue.float(0.015).text() == "0.015")
    var generator = SeededGenerator(seed: 5)
    for _ in 0..<10_000 {
      let value = Float(bitPattern: UInt32(truncatingIfNeeded: generator.next()))
      guard value.isFinite else { continue }
      let read = try #require(try JSONValue(parsing: JSONValue.float(value).text()).doubleValue)
      #expect(Float(read) == value)
    }
  }
}
