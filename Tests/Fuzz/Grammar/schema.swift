// fuzz-module: OccamCore Sources/Core
// fuzz-module: OccamGrammar Sources/Grammar
// fuzz-corpus: Tests/Fuzz/Grammar/seeds/schema/*
// fuzz-words: Tests/Fuzz/Grammar/schema.dict
import OccamCore
import OccamGrammar

/// Bytes as tokens, and one that ends.
let vocabulary = GrammarVocabulary(pieces: (0..<256).map { [UInt8($0)] } + [[]], end: [256])

/// Any JSON is a schema or an error. A text that the grammar lets through to its end is JSON.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzSchema(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  guard let schema = try? JSONValue(parsing: Array(UnsafeBufferPointer(start: data, count: size))) else { return 0 }
  guard let grammar = try? Grammar(schema: schema) else { return 0 }
  guard let compiled = try? CompiledGrammar(grammar, vocabulary) else { return 0 }
  var matcher = GrammarMatcher(compiled)
  var text: [UInt8] = []
  var wish = Int32(size & 255)
  while text.count < 100, !matcher.canEnd {
    let mask = matcher.mask()
    // Closing brackets and quotes first, or texts would have no end.
    let closing: [Int32] = [125, 93, 34]
    guard
      let token = closing.first(where: { mask.allows($0) })
        ?? (0..<256).lazy.map({ (wish + $0) & 255 }).first(where: { mask.allows($0) })
    else { break }
    precondition(matcher.accept(token))
    text.append(UInt8(token))
    wish = (wish &* 5 + 71) & 255
  }
  guard matcher.canEnd else { return 0 }
  do { _ = try JSONValue(parsing: text) } catch {
    precondition(error.reason.contains("stands twice"), "the grammar's text is no JSON")
  }
  return 0
}
