import OccamCore
import OccamGrammar
import Testing

@Suite struct SchemaTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let schema: String
    let good: [String]
    let bad: [String]
    var testDescription: String { schema }
  }

  static let cases: [Case] = [
    Case(
      schema: #"{"type":"object"}"#, good: ["{}", #"{"a":1}"#, #"{ "a": [1, {"b": null}], "c": "x"}"#],
      bad: ["[]", "1", #"{"a"}"#, "{,}"]),
    Case(
      schema: "{}", good: ["1", "null", "[]", #""x""#, "-2.5e10", "true", #"[[[1]]]"#],
      bad: ["", "nul", "01", "+1", "'x'", "[1,]"]),
    Case(
      schema:
        #"{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"},"c":{"type":"boolean"}},"required":["b"]}"#,
      good: [#"{"b":""}"#, #"{"a":1,"b":"x"}"#, #"{"a":-12,"b":"x","c":true}"#, #"{"b":"x", "c":false}"#],
      bad: ["{}", #"{"a":1}"#, #"{"b":"x","a":1}"#, #"{"b":"x","d":1}"#, #"{"a":1.5,"b":"x"}"#, #"{"b":"x",}"#]),
    Case(
      schema: #"{"type":"object","properties":{"a":{},"b":{}}}"#,
      good: ["{}", #"{"a":1}"#, #"{"b":1}"#, #"{"a":1,"b":2}"#], bad: [#"{"b":1,"a":2}"#, #"{"c":1}"#, #"{,"b":1}"#]),
    Case(
      schema: #"{"type":"object","properties":{"ab":{"type":"null"}},"additionalProperties":{"type":"integer"}}"#,
      good: ["{}", #"{"ab":null}"#, #"{"ab":null,"a":1,"abc":2,"":3,"b":4}"#, #"{"x":1}"#],
      bad: [#"{"ab":1}"#, #"{"x":1,"ab":null}"#, #"{"x":"y"}"#]),
    Case(
      schema: #"{"type":"array","items":{"enum":["a",1,null]},"minItems":1,"maxItems":2}"#,
      good: [#"["a"]"#, "[1,null]", "[ 1, 1 ]"], bad: ["[]", "[1,1,1]", "[2]"]),
    Case(schema: #"{"type":"array","maxItems":0}"#, good: ["[]"], bad: ["[1]"]),
    Case(
      schema: #"{"prefixItems":[{"type":"integer"},{"const":"x"}]}"#, good: [#"[1,"x"]"#],
      bad: ["[1]", #"[1,"x",2]"#, #"["x",1]"#]),
    Case(
      schema: #"{"type":"string","minLength":2,"maxLength":3}"#,
      good: [#""ab""#, #""äß😀""#, #""\n\u00e9""#, #""\ud83d\ude00x""#], bad: [#""a""#, #""abcd""#, #""\ud83dxx""#]),
    Case(
      schema: #"{"type":"string"}"#, good: [#""""#, #""a\"b\\\/""#],
      bad: [#"""#, "\"\n\"", #""\x""#, #""\ud83d""#, #""\udc00""#]),
    Case(
      schema: #"{"type":"string","pattern":"^\\d{3}-[A-Z]+$"}"#, good: [#""123-AB""#],
      bad: [#""12-AB""#, #""123-ab""#, #""123-""#]),
    Case(
      schema: #"{"type":"string","pattern":"^(red|blue)?$"}"#, good: [#""""#, #""red""#],
      bad: [#""green""#, #""redblue""#]),
    Case(schema: #"{"type":"string","pattern":"b+"}"#, good: [#""b""#, #""abbc""#], bad: [#""ac""#]),
    Case(
      schema: #"{"type":"string","pattern":"^[\"\\\\\\n]$"}"#, good: [#""\"""#, #""\\""#, #""\n""#],
      bad: [#""a""#, "\"\n\""]),
    Case(
      schema: #"{"type":"string","format":"date"}"#, good: [#""2026-11-26""#],
      bad: [#""2026-13-01""#, #""26-11-2026""#]),
    Case(
      schema: #"{"type":"string","format":"date-time"}"#,
      good: [#""2026-11-26T12:00:59.5Z""#, #""2026-11-26T12:00:00+01:00""#],
      bad: [#""2026-11-26""#, #""2026-11-26T25:00:00Z""#]),
    Case(
      schema: #"{"type":"string","format":"uuid"}"#, good: [#""123e4567-e89b-12d3-a456-426614174000""#],
      bad: [#""123e4567""#]),
    Case(schema: #"{"type":["integer","null"]}"#, good: ["1", "null"], bad: ["1.5", "true"]),
    Case(schema: #"{"type":"string","nullable":true}"#, good: ["null", #""x""#], bad: ["1"]),
    Case(
      schema: #"{"anyOf":[{"type":"integer","minimum":5},{"const":{"a":[1]}}]}"#, good: ["5", "123", #"{"a":[1]}"#],
      bad: ["4", "-5", "{}"]),
    Case(
      schema:
        ##"{"$ref":"#/$defs/tree","$defs":{"tree":{"type":"object","properties":{"v":{"type":"integer"},"kids":{"type":"array","items":{"$ref":"#/$defs/tree"}}},"required":["v"]}}}"##,
      good: [#"{"v":1}"#, #"{"v":1,"kids":[{"v":2,"kids":[]},{"v":3}]}"#], bad: ["{}", #"{"v":1,"kids":[1]}"#]),
    Case(
      schema:
        #"{"allOf":[{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"]},{"properties":{"b":{"type":"integer"}}}]}"#,
      good: [#"{"a":1}"#, #"{"a":1,"b":2}"#], bad: [#"{"b":2}"#]),
    Case(
      schema: #"{"type":"number","minimum":0,"maximum":1}"#, good: ["0", "1", "0.5", "1.0", "0.0001"],
      bad: ["-0.5", "1.5", "2", "1.01"]),
    Case(
      schema: #"{"type":"number","minimum":-2,"maximum":10}"#, good: ["-2", "-2.0", "-1.5", "0", "9.99", "10"],
      bad: ["-2.5", "-3", "10.5", "11"]),
    Case(schema: #"{"type":"boolean"}"#, good: ["true", "false"], bad: ["1", "True"]),
  ]

  @Test(arguments: cases) func acceptsWhatIsValid(_ item: Case) throws {
    let acceptor = try Acceptor(schema: item.schema)
    for text in item.good { #expect(acceptor.accepts(text), "\(text) is refused") }
    for text in item.bad { #expect(!acceptor.accepts(text), "\(text) is taken") }
  }

  /// Every whole number between and none beside, whatever the limits' lengths and signs.
  @Test(arguments: [(0, 0), (3, 17), (9, 10), (-5, 5), (-123, -9), (0, 999), (99, 1001), (-1000, 20), (199, 1990)])
  func integerLimits(_ low: Int, _ high: Int) throws {
    let acceptor = try Acceptor(schema: #"{"type":"integer","minimum":\#(low),"maximum":\#(high)}"#)
    for value in -2100...2100 {
      #expect(acceptor.accepts("\(value)") == (low...high).contains(value), "\(value)")
    }
    let above = try Acceptor(schema: #"{"type":"integer","exclusiveMinimum":\#(low)}"#)
    let below = try Acceptor(schema: #"{"type":"integer","exclusiveMaximum":\#(high)}"#)
    for value in -2100...2100 {
      #expect(above.accepts("\(value)") == (value > low), "\(value)")
      #expect(below.accepts("\(value)") == (value < high), "\(value)")
    }
    #expect(!acceptor.accepts("00\(low)") && above.accepts("1234567890123456"))
  }

  /// Every number of two digits behind the point, between limits of any length and sign, open or not.
  @Test(arguments: [
    (-2.5, 2.5), (0, 0.05), (0.25, 0.75), (0.25, 0.26), (-0.07, -0.05), (1, 1), (-1.5, 0), (0, 3), (0.5, 2), (2, 2.4),
    (-3.14, 1.0625), (1.9, 3.09), (1e-7, 0.1),
  ]) func numberLimits(_ low: Double, _ high: Double) throws {
    func acceptor(_ least: String, _ most: String) throws -> Acceptor {
      try Acceptor(schema: #"{"type":"number","\#(least)":\#(low),"\#(most)":\#(high)}"#)
    }
    let closed = try acceptor("minimum", "maximum")
    let open = low < high ? try acceptor("exclusiveMinimum", "exclusiveMaximum") : nil
    let above = try Acceptor(schema: #"{"type":"number","exclusiveMinimum":\#(low)}"#)
    let below = try Acceptor(schema: #"{"type":"number","exclusiveMaximum":\#(high)}"#)
    for hundredths in -400...400 {
      let value = Double(hundredths) / 100
      for text in ["\(value)", "\(value)000", value == value.rounded() ? "\(hundredths / 100)" : "\(value)"] {
        #expect(closed.accepts(text) == (low...high).contains(value), "\(text)")
        #expect(open?.accepts(text) ?? false == (low < value && value < high), "open \(text)")
        #expect(above.accepts(text) == (value > low), "above \(text)")
        #expect(below.accepts(text) == (value < high), "below \(text)")
      }
    }
    #expect(above.accepts("1234567.5") && below.accepts("-1234567.5") && !closed.accepts("00.5"))
  }

  @Test(arguments: [
    "[]", "3", "false", #"{"type":"strange"}"#, #"{"type":3}"#, #"{"type":[]}"#, #"{"multipleOf":2}"#, #"{"not":{}}"#,
    #"{"type":"object","patternProperties":{}}"#, ##"{"$ref":"#/nowhere"}"##, #"{"$ref":"http://x/y"}"#,
    ##"{"$ref":"#"}"##, #"{"enum":[]}"#, #"{"type":["string",3]}"#, #"{"type":["string","string"]}"#,
    #"{"type":"string","pattern":"^\\uD83D$"}"#, #"{"type":"string","pattern":"^\\uDE00$"}"#,
    #"{"type":"string","pattern":"^\\uD83Da$"}"#, #"{"type":"string","pattern":"^\\uD83D\\u0041$"}"#,
    #"{"type":"string","pattern":"^\\x+f$"}"#, #"{"type":"string","pattern":"^((a?){2000}){30}$"}"#,
    #"{"anyOf":[]}"#, #"{"type":"array","minItems":3,"maxItems":2}"#,
    #"{"type":"array","minItems":-1}"#, #"{"type":"array","maxItems":100000}"#,
    #"{"type":"string","pattern":"(?=a)"}"#, #"{"type":"string","pattern":"^a\\b$"}"#,
    #"{"type":"string","pattern":"["}"#,
    #"{"type":"string","pattern":"a","minLength":2}"#, #"{"type":"string","pattern":"^a|b$"}"#,
    #"{"type":"integer","minimum":5,"maximum":4}"#, #"{"type":"number","minimum":1e15}"#,
    #"{"type":"number","exclusiveMinimum":0,"maximum":0}"#,
    #"{"type":"object","properties":{"a":{}},"required":["b"]}"#,
    #"{"allOf":[{"type":"string"},{"type":"integer"}]}"#, #"{"type":"object","properties":3}"#,
    #"{"uniqueItems":true}"#,
    #"{"type":"string","const":1}"#, #"{"const":"a","minLength":1}"#, #"{"anyOf":[false]}"#,
    #"{"type":"string","anyOf":[{"type":"integer"}]}"#, #"{"anyOf":[{"multipleOf":2}]}"#,
    #"{"prefixItems":[{}],"items":false,"minItems":2}"#, #"{"pattern":"a","anyOf":[{"pattern":"b"}]}"#,
    ##"{"$ref":"#/$defs/a","minLength":1,"$defs":{"a":{"anyOf":[{"$ref":"#/$defs/a"}]}}}"##,
  ]) func refusesWhatItCannotHoldTo(_ schema: String) {
    #expect(throws: GrammarError.self) { try Acceptor(schema: schema) }
  }

  @Test(arguments: [
    (#"{"properties":{"a":{"type":"array","items":{"multipleOf":3}}}}"#, "#/properties/a/items/multipleOf"),
    (#"{"properties":{"a/b~":{"type":"strange"}}}"#, "#/properties/a~1b~0/type"),
    (#"{"properties":{"a":{"x/y":3}}}"#, "#/properties/a/x~1y"), (#"{"type":["string",null]}"#, "#/type"),
    (#"{"type":"string","format":"date","pattern":"^a$"}"#, "#/format"), (#"{"enum":3}"#, "#/enum"),
    (#"{"anyOf":[{"type":["integer",3]}],"type":"integer"}"#, "#/anyOf/0/type"),
  ]) func errorsNameThePlace(_ schema: String, _ place: String) throws {
    do {
      _ = try Acceptor(schema: schema)
      Issue.record("taken")
    } catch let error as GrammarError {
      #expect(error.subject == place)
    }
  }

  /// As far as 64 bits go, exactly, and not one more.
  @Test func integersAtTheEdge() throws {
    func acceptor(_ limits: String) throws -> Acceptor { try Acceptor(schema: #"{"type":"integer",\#(limits)}"#) }
    for limit in ["-9223372036854775808", "9223372036854775807", "1e19", "1152921504606846976"] {
      for name in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"] {
        #expect(throws: GrammarError.self) { try acceptor("\"\(name)\":\(limit)") }
      }
    }
    let odd = try acceptor(#""minimum":9007199254740993,"maximum":9007199254740993"#)
    #expect(odd.accepts("9007199254740993") && !odd.accepts("9007199254740992"))
    let quintillion = try acceptor(#""minimum":1e18"#)
    #expect(quintillion.accepts("1000000000000000000") && quintillion.accepts("9223372036854775807"))
    #expect(!quintillion.accepts("999999999999999999") && !quintillion.accepts("9223372036854775808"))
    let long = try acceptor(#""minimum":10000000000000000"#)
    #expect(long.accepts("10000000000000001") && !long.accepts("9999999999999999"))
    let negative = try acceptor(#""maximum":-10000000000000000"#)
    #expect(negative.accepts("-10000000000000001") && !negative.accepts("-9999999999999999"))
    let wide = try acceptor(#""minimum":-1152921504606846975,"maximum":1152921504606846975"#)
    #expect(wide.accepts("1152921504606846975") && !wide.accepts("1152921504606846976"))
    #expect(wide.accepts("-1152921504606846975") && !wide.accepts("-1152921504606846976") && wide.accepts("0"))
  }

  /// Names are written out character within character.
  @Test func longNames() throws {
    func schema(_ length: Int, _ rest: String) -> String {
      #"{"properties":{"\#(String(repeating: "a", count: length))":{"type":"null"}}\#(rest)}"#
    }
    let name = String(repeating: "a", count: 256)
    let open = try Acceptor(schema: schema(256, #","additionalProperties":{"type":"integer"}"#))
    #expect(open.accepts(#"{"\#(name)":null,"\#(name)a":1,"a":2}"#) && !open.accepts(#"{"\#(name)":1}"#))
    #expect(throws: GrammarError.self) { try Acceptor(schema: schema(257, #","additionalProperties":true"#)) }
    #expect(throws: GrammarError.self) { try Acceptor(schema: schema(200_000, #","additionalProperties":true"#)) }
    #expect(throws: Never.self) { try Acceptor(schema: schema(10_000, "")) }
  }

  @Test func longTuples() throws {
    func schema(_ count: Int) -> String {
      let items = Array(repeating: #"{"const":1}"#, count: count).joined(separator: ",")
      return #"{"maxItems":2000,"minItems":1,"prefixItems":[\#(items)]}"#
    }
    let longest = try Acceptor(schema: schema(2000))
    #expect(longest.accepts("[\(Array(repeating: "1", count: 2000).joined(separator: ","))]"))
    #expect(longest.accepts("[1,1]") && !longest.accepts("[]") && !longest.accepts("[1,2]"))
    #expect(throws: GrammarError.self) { try Acceptor(schema: schema(2001)) }
  }

  /// What a list repeats is written out once, and so are the places of a tuple.
  @Test func repeatedItemsAreOneRule() throws {
    let strings = try Acceptor(schema: #"{"maxItems":200,"items":{"type":"string","maxLength":1000}}"#)
    #expect(strings.accepts(#"["a", "b"]"#) && !strings.accepts("[1]"))
    let least = try Acceptor(schema: #"{"minItems":300,"items":{"type":"string","maxLength":1000}}"#)
    #expect(least.accepts("[\(Array(repeating: "\"\"", count: 300).joined(separator: ","))]") && !least.accepts("[]"))
  }

  /// Depth is that of schemas within each other; definitions that refer to the next are beside each other.
  @Test func chainsOfDefinitions() throws {
    let definitions = (0..<100).map {
      ##""d\##($0)":{"type":"array","items":{"anyOf":[{"$ref":"#/$defs/d\##($0 + 1)"},{"type":"null"}]}}"##
    }
    let acceptor = try Acceptor(
      schema: ##"{"$ref":"#/$defs/d0","$defs":{\##(definitions.joined(separator: ",")),"d100":{"const":1}}}"##)
    let (open, close) = (String(repeating: "[", count: 100), String(repeating: "]", count: 100))
    #expect(acceptor.accepts(open + "1" + close) && acceptor.accepts("[[null]]") && !acceptor.accepts("[1]"))
  }

  /// Two places whose names, written one behind the other, read alike.
  @Test func objectsDoNotShareRules() throws {
    let acceptor = try Acceptor(
      schema: """
        {"properties": {
          "a": {"properties": {"b/properties/c": {"properties": {"x": {"type": "null"}, "y": {"type": "null"}}}}},
          "a/properties/b": {"properties": {"c": {"properties": {"x": {"type": "null"}, "z": {"type": "null"}}}}}}}
        """)
    #expect(acceptor.accepts(#"{"a":{"b/properties/c":{"x":null,"y":null}}}"#))
    #expect(acceptor.accepts(#"{"a/properties/b":{"c":{"x":null,"z":null}}}"#))
    #expect(!acceptor.accepts(#"{"a/properties/b":{"c":{"x":null,"y":null}}}"#))
  }

  /// One character written in two ways makes two names.
  @Test func namesAreTheirBytes() throws {
    let acceptor = try Acceptor(
      schema:
        #"{"allOf":[{"properties":{"\u00e9":{"const":1},"e\u0301":{"const":2}}},{"properties":{"b":{"const":3}}}]}"#)
    #expect(acceptor.accepts("{\"b\":3}") && acceptor.accepts("{\"\u{E9}\":1,\"e\u{301}\":2}"))
  }

  @Test(arguments: [
    (#"^\\uD83D\\uDE00$"#, ["😀"], ["", "a"]), (#"^[\\uD83D\\uDE00-\\uD83D\\uDE02]$"#, ["😀", "😁"], ["😃"]),
    ("^.$", ["a", "é"], ["\\n", "\\r", "\u{2028}", "\u{2029}"]), ("^a[^]$", ["ab", "a\\n", "a]"], ["a"]),
    ("^(a|[])$", ["a"], ["", "]"]), (#"^\\x2b\\u002Bf$"#, ["++f"], ["f"]), ("^[a\\\\]]$", ["a", "]"], [""]),
  ]) func patterns(_ pattern: String, _ good: [String], _ bad: [String]) throws {
    let acceptor = try Acceptor(schema: #"{"type":"string","pattern":"\#(pattern)"}"#)
    for text in good { #expect(acceptor.accepts("\"\(text)\""), "\(text) is refused") }
    for text in bad { #expect(!acceptor.accepts("\"\(text)\""), "\(text) is taken") }
  }

  @Test func nestingIsLimited() throws {
    var schema = #"{"type":"integer"}"#
    for _ in 0..<40 { schema = #"{"type":"array","items":\#(schema)}"# }
    #expect(throws: Never.self) {
      _ = try Grammar(schema: try JSONValue(parsing: schema, limits: SchemaTests.deep))
    }
    for _ in 0..<40 { schema = #"{"type":"array","items":\#(schema)}"# }
    #expect(throws: GrammarError.self) {
      _ = try Grammar(schema: try JSONValue(parsing: schema, limits: SchemaTests.deep))
    }
  }

  private static var deep: JSONLimits {
    var limits = JSONLimits()
    limits.depth = 1000
    return limits
  }
}
