import OccamCore
import OccamGrammar
import Testing

@Suite struct GBNFTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let grammar: String
    let good: [String]
    let bad: [String]
    var testDescription: String { grammar }
  }

  static let cases: [Case] = [
    Case(grammar: #"root ::= "yes" | "no""#, good: ["yes", "no"], bad: ["", "ye", "yesno", "maybe"]),
    Case(grammar: #"root ::= [a-c]+ "-" [^0-9]"#, good: ["a-x", "abc-é", "cc-\n"], bad: ["-x", "d-x", "a-1", "a-"]),
    Case(
      grammar: #"root ::= "a"{2,3} "b"{2} "c"{1,} "d"{0,1}"#, good: ["aabbc", "aaabbccd"],
      bad: ["abbc", "aaaabbc", "aabc", "aabb"]),
    Case(grammar: #"root ::= ("x" | "yy")* "z"?"#, good: ["", "z", "xyyxz", "yyyy"], bad: ["y", "zz", "xyz"]),
    Case(grammar: "root ::= . .", good: ["ab", "éß", "😀\n"], bad: ["a", "abc"]),
    Case(grammar: #"root ::= "\x41\u00e9\U0001F600\t\"\\""#, good: ["Aé😀\t\"\\"], bad: ["Ae"]),
    Case(grammar: #"root ::= [\]\\^-]"#, good: ["]", "\\", "^", "-"], bad: ["a", "["]),
    Case(grammar: #"root ::= [à-ü]{2}"#, good: ["éè", "àü"], bad: ["e", "ab", "é"]),
    Case(
      grammar: """
        # a comment
        root ::= item ("," item)* # another
        item ::= number |
          word
        number ::= [0-9]+
        word ::= (
          [a-z] [a-z]*
        )

        """, good: ["1", "a,2,bc"], bad: ["", ",", "1,", "A"]),
    Case(grammar: "root ::=\n  \"a\"\n  \nb ::= root\n", good: ["a"], bad: ["b"]),
    Case(
      grammar: #"root ::= "(" root ")" | "()""#, good: ["()", "((()))"], bad: ["(", "(()", "())"]),
    Case(grammar: #"root ::= ("a"?)*"#, good: ["", "aaa"], bad: ["b"]),
    Case(grammar: #"root ::= "" "a" | """#, good: ["", "a"], bad: ["aa"]),
    Case(grammar: "root ::= \"a\nb\" [\n]", good: ["a\nb\n"], bad: ["ab", "a\nb"]),
    Case(grammar: "root ::= \"ab\"{2}? \"c\"?{2} [d]+ *", good: ["", "abab", "ababccdd", "c"], bad: ["ab", "ccc"]),
    Case(grammar: "root ::= a-b_c\na-b_c ::= \"x\"", good: ["x"], bad: [""]),
  ]

  @Test(arguments: cases) func acceptsWhatItDescribes(_ item: Case) throws {
    let acceptor = try Acceptor(gbnf: item.grammar)
    for text in item.good { #expect(acceptor.accepts(text), "'\(text)' is refused") }
    for text in item.bad { #expect(!acceptor.accepts(text), "'\(text)' is taken") }
  }

  @Test(arguments: [
    "", "rot ::= \"a\"", "root ::= \"a", "root ::= [a", "root ::= (\"a\"", "root ::= \"a\")", "root ::= missing",
    "root = \"a\"", "root ::= \"a\"\nroot ::= \"b\"", "root ::= \"\\q\"", "root ::= [z-a]", "root ::= \"a\"{3,2}",
    "root ::= \"a\"{", "root ::= \"a\"{x}", "root ::= \"\\x4\"", "root ::= \"\\UFFFFFFFF\"", "root ::= \"\\uD800\"",
    "root ::= root \"a\" | \"b\"", "root ::= a\na ::= b\nb ::= \"\" a", "root ::= x? root\nx ::= \"y\"", "1 2 3",
    "root ::= \"a\"{1,2001}", "root ::= é", "root ::= \"a\" | *",
  ]) func refusesWhatIsNone(_ text: String) {
    #expect(throws: GrammarError.self) { try Acceptor(gbnf: text) }
  }

  @Test func limitsHold() throws {
    var limits = GrammarLimits()
    limits.depth = 8
    let deep = "root ::= " + String(repeating: "(", count: 9) + "\"a\"" + String(repeating: ")", count: 9)
    #expect(throws: GrammarError.self) { try Grammar(gbnf: deep, limits: limits) }
    limits.rules = 3
    #expect(throws: GrammarError.self) { try Grammar(gbnf: "root ::= a b c d", limits: limits) }
    #expect(throws: Never.self) { try Grammar(gbnf: "root ::= \"a\"????????", limits: limits) }
    #expect(throws: GrammarError.self) { try Grammar(gbnf: "root ::= \"a\"?????????", limits: limits) }
    limits.bytes = 10
    #expect(throws: GrammarError.self) { try Grammar(gbnf: "root ::= \"abc\"", limits: limits) }
    // Repetitions of repetitions of repetitions.
    let product = "root ::= (([a-z]{2000}){2000}){2000}"
    #expect(throws: GrammarError.self) { try Acceptor(gbnf: product) }
    // No more levels than the limit says: the text cannot go deeper, and nothing else happens.
    limits = GrammarLimits()
    limits.stackDepth = 4
    let nested = try CompiledGrammar(
      try Grammar(gbnf: "root ::= \"(\" root \")\" | \"x\"", limits: limits),
      GrammarVocabulary(pieces: [Array("(".utf8), Array(")".utf8), Array("x".utf8), []], end: [3]))
    var matcher = GrammarMatcher(nested)
    var levels = 0
    while levels < 100, matcher.accept(0) { levels += 1 }
    #expect(levels >= 3 && levels < 8)
    #expect(matcher.mask().allows(2) && !matcher.mask().allows(0))
  }

  /// Few places, but ways between them without number.
  @Test func theSizeIsLimited() throws {
    let letters = Array(repeating: "\"a\"", count: 60_000).joined(separator: "|")
    for text in [#"(("a"?){2000}){30}"#, "((\(letters)){2000}){100}", #"((""{2000}){90}) "a""#] {
      let grammar = try Grammar(gbnf: "root ::= \(text)")
      #expect(throws: GrammarError.self, "\(text.prefix(20))") { try Acceptor(grammar) }
    }
  }

  @Test func waysAreLimited() throws {
    var limits = GrammarLimits()
    limits.edges = 100
    #expect(throws: Never.self) { try Acceptor(try Grammar(gbnf: #"root ::= "a"{30}"#, limits: limits)) }
    #expect(throws: GrammarError.self) { try Acceptor(try Grammar(gbnf: #"root ::= ("a"?){30}"#, limits: limits)) }
    #expect(throws: GrammarError.self) { try Acceptor(try Grammar(gbnf: #"root ::= "a"{120}"#, limits: limits)) }
  }

  /// Alternatives that begin alike double the places with every rule.
  @Test func placesAreLimited() throws {
    let rules = (0..<30).map { "r\($0) ::= r\($0 + 1) \"x\" | r\($0 + 1) \"y\"\n" }.joined()
    let doubling = try Grammar(gbnf: "root ::= r0\n\(rules)r30 ::= \"z\"")
    #expect(throws: GrammarError.self) { try Acceptor(doubling) }
    // Or with every byte: the text cannot go deeper, and nothing else happens.
    var limits = GrammarLimits()
    limits.places = 100
    let acceptor = try Acceptor(
      try Grammar(gbnf: #"root ::= "(" root "x" | "(" root "y" | "z""#, limits: limits))
    var matcher = GrammarMatcher(acceptor.compiled)
    var levels = 0
    while levels < 20, matcher.mask().allows(40), matcher.accept(40) { levels += 1 }
    #expect((3..<8).contains(levels))
    let rest = matcher.accept(bytes: Array("z".utf8) + (0..<levels).map { $0 % 2 == 0 ? 120 : 121 })
    #expect(rest && matcher.canEnd)
  }

  /// Each rule is looked at once, in whatever order they may be empty.
  @Test func aLongChainOfRules() throws {
    var limits = GrammarLimits()
    limits.places = 10_000
    let rules = (0..<8190).map { "r\($0) ::= r\($0 + 1)\n" }.joined()
    let start = Clock.nanoseconds()
    let acceptor = try Acceptor(try Grammar(gbnf: "root ::= r0 \"a\"\n\(rules)r8190 ::= \"\"", limits: limits))
    #expect(Clock.milliseconds(since: start) < 4000)
    #expect(acceptor.accepts("a") && !acceptor.accepts(""))
    #expect(throws: GrammarError.self) {
      try Acceptor(try Grammar(gbnf: "root ::= r0 \"a\"\n\(rules)r8190 ::= \"\" root", limits: limits))
    }
  }

  /// Lists written by a rule that ends with itself stay flat, however long.
  @Test func tailCallsTakeNoStack() throws {
    let acceptor = try Acceptor(gbnf: "root ::= \"a\" root | \"\"")
    #expect(acceptor.accepts(String(repeating: "a", count: 5000)))
    #expect(acceptor.compiled.counts.states < 10)
  }
}
