import OccamCore
import OccamGrammar

/// Whether whole texts are what a grammar describes, byte by byte.
struct Acceptor {
  private static let bytes = GrammarVocabulary(pieces: (0..<256).map { [UInt8($0)] } + [[]], end: [256])
  let compiled: CompiledGrammar

  init(_ grammar: Grammar) throws { compiled = try CompiledGrammar(grammar, Acceptor.bytes) }
  init(gbnf: String) throws { try self.init(try Grammar(gbnf: gbnf)) }
  init(schema: String) throws { try self.init(try Grammar(schema: try JSONValue(parsing: schema))) }

  func accepts(_ text: String) -> Bool { accepts(Array(text.utf8)) }

  func accepts(_ bytes: [UInt8]) -> Bool {
    var matcher = GrammarMatcher(compiled)
    return matcher.accept(bytes: bytes) && matcher.canEnd
  }
}
