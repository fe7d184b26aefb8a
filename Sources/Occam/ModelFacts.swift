import OccamGGUF
import OccamModels
import OccamPruning
import OccamTokenizer

/// What a model file says of itself, for whoever serves it.
public struct ModelFacts: Sendable {
  /// `general.name`; nil where the file has none.
  public let name: String?
  /// `general.architecture`.
  public let architecture: String
  /// Whether there is a projector: the model sees pictures.
  public let seesImages: Bool
  public let vocabularySize: Int
  public let embeddingWidth: Int
  public let layers: Int
  /// Numbers in the text model's tensors.
  public let parameterCount: Int
  /// Bytes of the text model's tensors in the file.
  public let fileBytes: Int
  /// The one in use where it is Jinja: given, or the file's own.
  public let chatTemplate: String?
  /// Texts of the tokens that begin and end a text, empty where there is none.
  public let bosText: String
  public let eosText: String
  /// All tokens that end a reply.
  public let endTokens: [Int32]

  init(_ file: GGUFFile, hasVision: Bool, _ tokenizer: Tokenizer, _ shape: TextShape, chatTemplate given: String?) {
    name = (try? file.string("general.name")) ?? nil
    architecture = ((try? file.string("general.architecture")) ?? nil) ?? ""
    seesImages = hasVision
    vocabularySize = tokenizer.vocabularySize
    embeddingWidth = shape.hidden
    layers = shape.layers
    parameterCount = file.tensors.reduce(0) { $0 + $1.elementCount }
    fileBytes = file.tensors.reduce(0) { $0 + $1.byteRange.count }
    chatTemplate = given ?? (try? file.string("tokenizer.chat_template")) ?? nil
    bosText = tokenizer.text(of: tokenizer.bos)
    eosText = tokenizer.text(of: tokenizer.eos)
    endTokens = (0..<Int32(clamping: tokenizer.vocabularySize)).filter { tokenizer.isEndOfGeneration($0) }
  }
}

extension Tokenizer {
  /// A token's text, control tokens' included; empty for nil.
  func text(of id: Int32?) -> String {
    id.map { String(decoding: bytes(of: $0, special: true), as: UTF8.self) } ?? ""
  }
}

extension VisionLanguageModel {
  public var facts: ModelFacts { parts.facts }

  /// - Parameters:
  ///   - addSpecial: with the tokens in front and behind that the model was trained with.
  ///   - parseSpecial: texts of control tokens become these tokens. Off for what people typed.
  public func tokenize(_ text: String, addSpecial: Bool = false, parseSpecial: Bool = true) -> [Int32] {
    tokenizer.encode(text, addSpecial: addSpecial, parseSpecial: parseSpecial)
  }

  /// The text of tokens, control tokens included; ids outside the vocabulary have none.
  public func detokenize(_ tokens: [Int32]) -> String { tokenizer.decode(tokens, special: true) }

  /// The bytes that one token stands for; a character may be spread over several tokens.
  public func bytes(ofToken id: Int32) -> [UInt8] { tokenizer.bytes(of: id, special: true) }

  /// A conversation as the model's chat template writes it, `<__media__>` for each picture.
  /// - Parameter asksForReply: false: without the beginning of the reply's turn.
  public func promptText(
    _ messages: [Message], options: GenerationOptions = GenerationOptions(), asksForReply: Bool = true
  ) throws(OccamError) -> String {
    try ChatPrompt(self, options).text(try messages.forTemplate(), asksForReply: asksForReply)
  }

  /// Tokens of a conversation's prompt, nothing pruned, from the pictures' headers: what a context must hold before a
  /// reply begins.
  public func promptTokens(
    _ messages: [Message], options: GenerationOptions = GenerationOptions()
  ) throws(OccamError) -> Int {
    let prompt = try ChatPrompt(self, options).prompt(try messages.forTemplate())
    let pictures = try messages.flatMap(\.images).map { image throws(OccamError) in try promptTokens(of: image) }
    return prompt.items.reduce(0) { sum, item in
      if case .image(let index) = item { sum + pictures[index] } else { sum + 1 }
    }
  }

  /// The same of a raw prompt, `<__media__>` in it for each picture.
  public func promptTokens(raw prompt: String, images: [ImageSource] = []) throws(OccamError) -> Int {
    try promptTokens(raw: [.text(prompt)], images: images)
  }

  /// The same of parts.
  public func promptTokens(raw prompt: [PromptPart], images: [ImageSource] = []) throws(OccamError) -> Int {
    var tokens = 0
    for source in images { tokens += try promptTokens(of: source) }
    let prompt = try Prompt(prompt, images: Array(images.indices), tokenizer: tokenizer)
    return prompt.items.reduce(tokens) { sum, item in if case .image = item { sum } else { sum + 1 } }
  }

  /// Tokens of a picture in a prompt, markers included.
  private func promptTokens(of source: ImageSource) throws(OccamError) -> Int {
    guard let vision else { throw OccamError.cannotSee(path) }
    let layout = try ImagePipeline.layout(of: source, vision.plan.processor)
    return layout.frame.extent(decoder.shape.positions, tokenizer) { layout.tiles[$0].columns.count }.tokens
  }
}
