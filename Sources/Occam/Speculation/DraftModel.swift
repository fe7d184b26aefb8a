import OccamCore
import OccamGGUF
import OccamModels
import OccamTokenizer

/// A small model that guesses for a larger one with the same vocabulary.
final class DraftModel: Sendable {
  let decoder: any TextDecoder

  /// - Throws: code `mismatch` if its vocabulary is not that of the model it is to guess for, which `main` names.
  init(path: String, for main: String, _ tokenizer: Tokenizer, _ weights: WeightSource) throws(OccamError) {
    decoder = try weights.decoder(try DraftModel.open(path, for: main, tokenizer)) { _ in }
  }

  /// The header tells whether it fits.
  static func open(_ path: String, for main: String, _ tokenizer: Tokenizer) throws(OccamError) -> GGUFFile {
    let file = try ModelFiles.open(path)
    let shape = try translating(path) { try ModelRegistry.textShape(file) }
    let own = try VisionLanguageModel.tokenizer(file, shape)
    if let difference = own.difference(from: tokenizer) {
      throw OccamError(.mismatch, path, "cannot guess for '\(main)', whose vocabulary differs: \(difference)")
    }
    return file
  }
}
