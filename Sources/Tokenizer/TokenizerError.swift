import OccamGGUF

/// Why a file's vocabulary cannot be used.
package struct TokenizerError: Error, CustomStringConvertible, Equatable {
  package enum Problem: Sendable, Equatable {
    /// A key is missing or of the wrong type.
    case metadata(GGUFError)
    case unsupportedModel(String)
    case unsupportedPreTokenizer(String)
    case emptyVocabulary
    case tooManyTokens(Int)
    /// The array under `key` does not have one element per token.
    case lengthMismatch(key: String, found: Int, tokens: Int)
    case idOutOfRange(key: String, id: Int, tokens: Int)
  }

  /// The file.
  package let subject: String
  package let problem: Problem

  package init(_ subject: String, _ problem: Problem) {
    self.subject = subject
    self.problem = problem
  }

  package var description: String {
    switch problem {
    case .metadata(let error): "\(error)"
    case .unsupportedModel(let name):
      "'\(subject)': tokenizer '\(name)' is not supported (supported: \(Tokenizer.supportedModels.joined(separator: ", ")))"
    case .unsupportedPreTokenizer(let name): "'\(subject)': pre-tokenizer '\(name)' is not supported"
    case .emptyVocabulary: "'\(subject)': the vocabulary is empty"
    case .tooManyTokens(let count): "'\(subject)': \(count) tokens are more than 32-bit ids can name"
    case .lengthMismatch(let key, let found, let tokens):
      "'\(subject)': '\(key)' has \(found) elements for \(tokens) tokens"
    case .idOutOfRange(let key, let id, let tokens): "'\(subject)': '\(key)' is \(id), there are \(tokens) tokens"
    }
  }
}
