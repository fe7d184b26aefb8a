import OccamCore
import OccamGrammar
import OccamTokenizer

/// Grammars that replies are held to, made ready for a model's vocabulary and kept for the next reply of the same format.
final class GrammarStore: Sendable {
  private struct State {
    var vocabulary: GrammarVocabulary?
    /// The most recently used last.
    var grammars: [(format: ResponseFormat, grammar: CompiledGrammar)] = []
  }

  private let tokenizer: Tokenizer
  private let state = Guarded(State())
  /// Each may remember tens of megabytes of masks.
  private static let limit = 8

  init(_ tokenizer: Tokenizer) { self.tokenizer = tokenizer }

  /// nil for a text without a format.
  func grammar(for format: ResponseFormat) throws(OccamError) -> CompiledGrammar? {
    if format == .text { return nil }
    if let known = find(format) { return known }
    do {
      let grammar = try GrammarStore.grammar(format)
      return try state.withLock { state in
        let vocabulary = state.vocabulary ?? tokenizer.grammarVocabulary()
        state.vocabulary = vocabulary
        let compiled = try CompiledGrammar(grammar, vocabulary)
        if state.grammars.count == GrammarStore.limit { state.grammars.removeFirst() }
        state.grammars.append((format, compiled))
        return compiled
      }
    } catch let error as GrammarError {
      throw OccamError(.invalidOption, error.subject, error.reason)
    } catch {
      throw OccamError(.invalidOption, "grammar", "\(error)")
    }
  }

  private func find(_ format: ResponseFormat) -> CompiledGrammar? {
    state.withLock { state in
      guard let index = state.grammars.firstIndex(where: { $0.format == format }) else { return nil }
      let known = state.grammars.remove(at: index)
      state.grammars.append(known)
      return known.grammar
    }
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
  fileprivate func grammarVocabulary() -> GrammarVocabulary {
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
