import Dispatch
import Occam
import OccamCore
import OccamGGUF
import OccamGrammar
import OccamTestSupport
import OccamTokenizer
import Testing

@Suite struct MaskTests {
  /// Tokens that begin alike, end inside of characters, and stand for whole pieces of JSON.
  private static let pieces: [[UInt8]] =
    (0..<256).map { [UInt8($0)] }
    + [
      "{\"", "\":", "\",", "\"}", "true", "tr", "null", "12", "-1", ".5", "e1", " \"", ", \"", "é", "日本", "\\u", "[[",
      "]]", "a", "ab", "abc", "}}", "",
    ]
    .map { Array($0.utf8) } + [Array("日".utf8.prefix(2)), Array("😀".utf8.suffix(3))]

  private static let vocabulary = GrammarVocabulary(pieces: pieces, end: [Int32(pieces.count - 3)])

  private static let grammars: [String] = [
    "root ::= [a-c]+ | \"日本\" .*", "root ::= \"(\" root \")\" | \"ab\"? \"abc\"", "root ::= [^a]{1,3} \"é\" \"日\"",
  ]
  private static let schemas: [String] = [
    "{\"type\":\"object\"}", "{}",
    #"{"type":"object","properties":{"a":{"type":"number"},"ab":{"enum":["abc","日本"]}},"required":["ab"],"additionalProperties":true}"#,
  ]

  /// The walk over the tree of tokens finds what every token alone would.
  @Test func theWalkAgreesWithEveryTokenAlone() throws {
    let all =
      try MaskTests.grammars.map { try Grammar(gbnf: $0) }
      + MaskTests.schemas.map { try Grammar(schema: try JSONValue(parsing: $0)) }
    var generator = SeededGenerator(seed: 7)
    var states = 0
    for grammar in all {
      let compiled = try CompiledGrammar(grammar, MaskTests.vocabulary)
      for _ in 0..<12 {
        var matcher = GrammarMatcher(compiled)
        for _ in 0..<20 {
          let mask = matcher.mask()
          var allowed: [Int32] = []
          for id in 0..<Int32(MaskTests.pieces.count) {
            var alone = matcher
            let isAllowed = alone.accept(id)
            #expect(mask.allows(id) == isAllowed, "token \(id)")
            if isAllowed { allowed.append(id) }
          }
          states += 1
          guard !allowed.isEmpty else { break }
          let isTaken = matcher.accept(allowed[Int(generator.next() % UInt64(allowed.count))])
          #expect(isTaken)
          if matcher.hasEnded { break }
        }
      }
    }
    #expect(states > 200)
  }

  /// Whatever is drawn, the text is JSON.
  @Test(arguments: 0..<40) func everyTextIsJSON(seed: Int) throws {
    var generator = SeededGenerator(seed: UInt64(seed))
    for schema in MaskTests.schemas {
      let compiled = try CompiledGrammar(
        try Grammar(schema: try JSONValue(parsing: schema)), MaskTests.vocabulary)
      var matcher = GrammarMatcher(compiled)
      var text: [UInt8] = []
      for step in 0... {
        let mask = matcher.mask()
        let allowed = MaskTests.pieces.indices.filter { mask.allows(Int32($0)) }
        try #require(!allowed.isEmpty, "stuck behind \(String(decoding: text, as: UTF8.self))")
        // Long texts are brought to their end by what closes.
        let closing = allowed.filter { [34, 93, 125].contains(MaskTests.pieces[$0].first ?? 125) }
        let choice = step > 60 && !closing.isEmpty ? closing : allowed
        let id = choice[Int(generator.next() % UInt64(choice.count))]
        let isTaken = matcher.accept(Int32(id))
        #expect(isTaken)
        text += MaskTests.pieces[id]
        if matcher.hasEnded || step > 5000 { break }
      }
      try #require(matcher.hasEnded, "no end")
      var limits = JSONLimits()
      limits.depth = 300
      // Members of one name are JSON, too, but not for this parser.
      do { _ = try JSONValue(parsing: text, limits: limits) } catch {
        #expect(error.reason.contains("stands twice"), "\(String(decoding: text, as: UTF8.self)): \(error)")
      }
    }
  }

  @Test func appliesToLogits() throws {
    let compiled = try CompiledGrammar(try Grammar(gbnf: "root ::= \"ab\""), MaskTests.vocabulary)
    var matcher = GrammarMatcher(compiled)
    var logits = [Float](repeating: 1, count: MaskTests.pieces.count + 100)
    let mask = matcher.mask()
    logits.withUnsafeMutableBufferPointer { mask.apply(to: $0) }
    let kept = logits.indices.filter { logits[$0] == 1 }
    #expect(
      kept == MaskTests.pieces.indices.filter { ["a", "ab"].map { Array($0.utf8) }.contains(MaskTests.pieces[$0]) })
    var ended = matcher
    let end = Int32(MaskTests.pieces.count - 3)
    let early = ended.accept(end)
    let text = ended.accept(bytes: Array("ab".utf8))
    let mustEnd = ended.mustEnd
    let last = ended.accept(end)
    #expect(!early && text && mustEnd && last)
    let behind = [97, -1, 1 << 20].map { ended.accept($0) }
    #expect(ended.hasEnded && ended.mask().isEmpty && behind == [false, false, false])
  }

  /// Within one reply, too; what is allowed stays the same, and replies that go on beside each other agree.
  @Test(arguments: [(60, 1 << 20, 120), (1 << 20, 900, 400)])
  func memoryIsBounded(_ states: Int, _ places: Int, _ bound: Int) throws {
    let text = "root ::= .* [aeiou] .{12} | \"(\" root \")\""
    var limits = GrammarLimits()
    limits.states = states
    limits.statePlaces = places
    limits.maskBytes = 400
    let compiled = try CompiledGrammar(try Grammar(gbnf: text, limits: limits), MaskTests.vocabulary)
    let unbounded = try CompiledGrammar(try Grammar(gbnf: text), MaskTests.vocabulary)
    var generator = SeededGenerator(seed: 3)
    for _ in 0..<3 {
      var (first, second, reference) = (GrammarMatcher(compiled), GrammarMatcher(compiled), GrammarMatcher(unbounded))
      var mostStates = 0
      for step in 0..<200 {
        let words = reference.mask().words
        let mask = first.mask()
        #expect(mask.words == words)
        // The second one looks seldom, and finds that the first has gone on.
        if step % 20 == 0 { #expect(second.mask().words == words) }
        let allowed = (97...122).filter { mask.allows($0) } + [40]
        let token = Int32(allowed[Int(generator.next() % UInt64(allowed.count))])
        let taken = [first.accept(token), second.accept(token), reference.accept(token)]
        #expect(taken == [true, true, true])
        #expect(first.canEnd == reference.canEnd && second.mustEnd == reference.mustEnd)
        mostStates = max(mostStates, compiled.counts.states)
        #expect(compiled.counts.masks * 40 <= 400)
      }
      // Those of one way down the tree of tokens stay, and bytes of both replies come before the next look.
      #expect(mostStates < bound)
    }
    #expect(unbounded.counts.states > 500)
  }

  @Test func manyThreadsShareOne() throws {
    let compiled = try CompiledGrammar(try Grammar.json(), MaskTests.vocabulary)
    let text = Array(#"{"a": [1, {"ab": "日本é"}], "abc": -1.5e1}"#.utf8)
    let failures = Guarded(0)
    DispatchQueue.concurrentPerform(iterations: 8) { _ in
      for _ in 0..<20 {
        var matcher = GrammarMatcher(compiled)
        for byte in text {
          let isAllowed = matcher.mask().allows(Int32(byte))
          let isTaken = matcher.accept(Int32(byte))
          if !isAllowed || !isTaken { failures.withLock { $0 += 1 } }
        }
        if !matcher.canEnd { failures.withLock { $0 += 1 } }
      }
    }
    #expect(failures.withLock { $0 } == 0)
  }

  /// On a vocabulary as models have it: says how long masks take, cold and warm.
  @Test(.enabled(if: Locations.vocabularies != nil)) func largestVocabulary() throws {
    let folder = try #require(Locations.vocabularies)
    let files = Files.list(folder).filter { $0.hasSuffix(".gguf") }
    var largest: (name: String, tokenizer: Tokenizer)?
    for name in files {
      guard let file = try? GGUFFile(path: "\(folder)/\(name)"), let tokenizer = try? Tokenizer(metadata: file) else {
        continue
      }
      if tokenizer.vocabularySize > largest?.tokenizer.vocabularySize ?? 0 { largest = (name, tokenizer) }
    }
    let (name, tokenizer) = try #require(largest)
    let built = Clock.nanoseconds()
    let vocabulary = tokenizer.grammarVocabulary()
    let build = Clock.milliseconds(since: built)
    let compiled = try CompiledGrammar(try Grammar.json(), vocabulary)
    let text = #"{"title": "A photo of a cat", "count": 12, "tags": ["red", "blue"], "score": 0.75}"#
    let tokens = tokenizer.encode(text, addSpecial: false, parseSpecial: false)
    var lines: [String] = []
    for round in ["cold", "warm"] {
      var matcher = GrammarMatcher(compiled)
      var longest = 0.0
      let start = Clock.nanoseconds()
      for token in tokens {
        let step = Clock.nanoseconds()
        let mask = matcher.mask()
        let isAllowed = mask.allows(token)
        let isTaken = matcher.accept(token)
        #expect(isAllowed && isTaken, "token \(token)")
        longest = max(longest, Clock.milliseconds(since: step))
      }
      #expect(matcher.canEnd)
      let mean = Clock.milliseconds(since: start) * 1000 / Double(tokens.count)
      lines.append("\(round) \(fixed(mean, 1)) us a token, at most \(fixed(longest * 1000, 0))")
    }
    print(
      "grammar masks, \(name), \(vocabulary.count) tokens: built in \(fixed(build, 0)) ms; \(lines.joined(separator: "; "))"
    )
  }
}
