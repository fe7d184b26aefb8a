import OccamCore
import OccamGrammar
import OccamTokenizer

/// Grammars that replies are held to, made ready for a model's vocabulary and kept for the next reply of the same format.
final class GrammarStore: Sendable {
  private typealias Entry = (format: ResponseFormat, grammar: CompiledGrammar)

  private let tokenizer: Tokenizer
  private let vocabulary = Guarded<GrammarVocabulary?>(nil)
  /// The most recently used last.
  private let grammars = Guarded<[Entry]>([])
  /// Each may remember tens of megabytes of masks.
  private static let limit = 8

  init(_ tokenizer: Tokenizer) { self.tokenizer = tokenizer }

  /// nil for a text without a format. A grammar is made ready outside the lock: it may take seconds, and replies of
  /// other formats go on meanwhile.
  func grammar(for format: ResponseFormat) throws(OccamError) -> CompiledGrammar? {
    if format == .text { return nil }
    if let known = find(format) { return known }
    do {
      let grammar = try GrammarStore.grammar(format)
      return insert(format, try CompiledGrammar(grammar, vocabularyOnce()))
    } catch let error as OccamError {
      throw error
    } catch let error as GrammarError {
      throw OccamError(.invalidOption, error.subject, error.reason)
    } catch {
      throw OccamError(.invalidOption, "grammar", "\(error)")
    }
  }

  private func vocabularyOnce() -> GrammarVocabulary {
    vocabulary.withLock { known in
      let vocabulary = known ?? tokenizer.grammarVocabulary()
      known = vocabulary
      return vocabulary
    }
  }

  private func find(_ format: ResponseFormat) -> CompiledGrammar? {
    grammars.withLock { GrammarStore.use(format, &$0) }
  }

  /// - Returns: the one that another request has made meanwhile, if there is one.
  private func insert(_ format: ResponseFormat, _ grammar: CompiledGrammar) -> CompiledGrammar {
    grammars.withLock { grammars in
      if let known = GrammarStore.use(format, &grammars) { return known }
      if grammars.count == GrammarStore.limit { grammars.removeFirst() }
      grammars.append((format, grammar))
      return grammar
    }
  }

  private static func use(_ format: ResponseFormat, _ grammars: inout [Entry]) -> CompiledGrammar? {
    guard let index = grammars.firstIndex(where: { $0.format == format }) else { return nil }
    let known = grammars.remove(at: index)
    grammars.append(known)
    return known.grammar
  }

  private static func grammar(_ format: ResponseFormat) throws -> Grammar {
    switch format {
    case .text, .json: return try Grammar.json()
    case .grammar(let text): return try Grammar(gbnf: text)
    case .schema(let text):
      let schema: JSONValue
      do { schema = try JSONValue(parsing: text) } catch {
        throw OccamError(.invalidOption, "schema", "is not JSON: \(error)")
      }
      return try Grammar(schema: schema)
    }
  }
}

extension Tokenizer {
  /// What each token adds to a text; nothing for control tokens.
  package func grammarVocabulary() -> GrammarVocabulary {
    let ids = 0..<Int32(vocabularySize)
    return GrammarVocabulary(
      pieces: ids.map { isEndOfGeneration($0) ? [] : bytes(of: $0, special: false) },
      end: ids.filter { isEndOfGeneration($0) })
  }
}

extension VisionLanguageModel {
  /// Refuses a format that replies cannot be held to, and makes it ready otherwise: the first reply then does not wait.
  public func prepare(_ format: ResponseFormat) throws(OccamError) {
    _ = try parts.grammars.grammar(for: format)
  }
}
