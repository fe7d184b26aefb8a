import Occam

/// Answers questions about photos, one conversation each.
struct PhotoService {
  let model: VisionLanguageModel

  /// Finds the projector (mmproj*.gguf) beside the model.
  init(modelPath: String) throws { model = try VisionLanguageModel(path: modelPath) }

  func answer(_ question: String, about photo: [UInt8]) async throws -> String {
    var options = GenerationOptions()
    options.maxTokens = 64
    let session = try model.makeSession()
    var text = ""
    for try await token in session.reply(to: question, images: [.bytes(photo, name: "upload")], options: options) {
      text += token.text
    }
    return text
  }
}
