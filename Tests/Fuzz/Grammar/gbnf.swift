// fuzz-module: OccamCore Sources/Core
// fuzz-module: OccamGrammar Sources/Grammar
// fuzz-corpus: Tests/Fuzz/Grammar/seeds/gbnf/*
// fuzz-words: Tests/Fuzz/Grammar/gbnf.dict
import OccamGrammar

/// Bytes as tokens, and one that ends.
let vocabulary = GrammarVocabulary(pieces: (0..<256).map { [UInt8($0)] } + [[]], end: [256])

/// Any text is a grammar or an error. The first byte says which bytes are wished for; the automaton goes where the mask
/// lets it, 200 bytes far, and what the mask allows it takes.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzGBNF(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  let bytes = UnsafeBufferPointer(start: data, count: size)
  guard let first = bytes.first else { return 0 }
  guard let grammar = try? Grammar(gbnf: String(decoding: bytes.dropFirst(), as: UTF8.self)) else { return 0 }
  guard let compiled = try? CompiledGrammar(grammar, vocabulary) else { return 0 }
  var matcher = GrammarMatcher(compiled)
  var wish = Int32(first)
  for _ in 0..<200 {
    let mask = matcher.mask()
    precondition(mask.allows(256) == matcher.canEnd)
    // Without any byte the text may be one that must end, or be at more places than the limit with each.
    guard let token = (0..<256).lazy.map({ (wish + $0) & 255 }).first(where: { mask.allows($0) }) else { break }
    precondition(!matcher.mustEnd)
    precondition(matcher.accept(token))
    wish = (wish &* 5 + 71) & 255
  }
  return 0
}
