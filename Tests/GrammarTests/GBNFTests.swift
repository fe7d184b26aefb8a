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
    Case(grammar: "root ::= a-b_c\na-b_c ::= \"x\"", good: ["x"], bad: [""]),
  ]

  @Test(arguments: cases) func acceptsWhatItDescribes(_ item: Case) throws {
    let acceptor = try Acceptor(gbnf: item.grammar)
    for text in item.good { #expect(acceptor.accepts(text), "'\(text)' is refused") }
    for text in item.bad { #expect(!acceptor.accepts(text), "'\(text)' is taken") }
    // Printed and read again it is the same grammar.
    let again = try Acceptor(gbnf: try Grammar(gbnf: item.grammar).gbnf)
    for text in item.good { #expect(again.accepts(text), "printed: '\(text)' is refused") }
    for text in item.bad { #expect(!again.accepts(text), "printed: '\(text)' is taken") }
  }

  @Test(arguments: [
    "", "rot ::= \"a\"", "root ::= \"a", "root ::= [a", "root ::= (\"a\"", "root ::= \"a\")", "root ::= missing",
    "root = \"a\"", "root ::= \"a\"\nroot ::= \"b\"", "root ::= \"\\q\"", "root ::= [z-a]", "root ::= \"a\"{3,2}",
    "root ::= \"a\"{", "root ::= \"a\"{x}", "root ::= \"\\x4\"", "root ::= \"\\UFFFFFFFF\"", "root ::= \"\\uD800\"",
    "root ::= root \"a\" | \"b\"", "root ::= a\na ::= b\nb ::= \"\" a", "root ::= x? root\nx ::= \"y\"", "1 2 3",
    "root ::= \"a\"{1,2001}", "root ::= é",
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

  /// Lists written by a rule that ends with itself stay flat, however long.
  @Test func tailCallsTakeNoStack() throws {
    let acceptor = try Acceptor(gbnf: "root ::= \"a\" root | \"\"")
    #expect(acceptor.accepts(String(repeating: "a", count: 5000)))
    #expect(acceptor.compiled.counts.states < 10)
  }
}
