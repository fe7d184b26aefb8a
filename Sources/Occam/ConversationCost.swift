import OccamCore
import OccamImages

/// What a reply may take of memory, planned from sizes before anything is computed.
public struct ConversationCost: Sendable {
  /// Tokens of the prompt, nothing pruned.
  public let promptTokens: Int
  /// Activations of encoder and prefill, the pictures' pixels and files; in low memory the encoder's weights.
  public let workingBytes: Int
  private let plan: MemoryPlan
  private let contextLength: Int

  init(promptTokens: Int, workingBytes: Int, plan: MemoryPlan) {
    self.promptTokens = promptTokens
    self.workingBytes = workingBytes
    self.plan = plan
    contextLength = plan.contextLength
  }

  /// All of it, with a reply of so many tokens, or as many as the context holds.
  public func bytes(replyTokens: Int?) -> Int {
    let room = max(contextLength - promptTokens, 1)
    return workingBytes + plan.kvBytes(tokens: promptTokens + min(replyTokens ?? room, room))
  }

  /// The longest reply that stays below `limit` bytes, 0 if none does.
  public func replyTokens(within limit: Int) -> Int {
    var (low, high) = (0, max(contextLength - promptTokens, 1))
    while low < high {
      let middle = (low + high + 1) / 2
      if bytes(replyTokens: middle) <= limit { low = middle } else { high = middle - 1 }
    }
    return low
  }
}

extension VisionLanguageModel {
  /// - Throws: what is wrong with the conversation: a picture that is none, a template that fails.
  public func cost(
    of messages: [Message], options: GenerationOptions = GenerationOptions(),
    session: SessionOptions = SessionOptions()
  ) throws(OccamError) -> ConversationCost {
    let tokens = try promptTokens(messages, options: options)
    return try cost(tokens, messages.flatMap(\.images), session, options.speculation)
  }

  /// The same of a raw prompt.
  public func cost(
    raw prompt: String, images: [ImageSource] = [], options: GenerationOptions = GenerationOptions(),
    session: SessionOptions = SessionOptions()
  ) throws(OccamError) -> ConversationCost {
    try cost(raw: [.text(prompt)], images: images, options: options, session: session)
  }

  /// The same of parts.
  public func cost(
    raw prompt: [PromptPart], images: [ImageSource] = [], options: GenerationOptions = GenerationOptions(),
    session: SessionOptions = SessionOptions()
  ) throws(OccamError) -> ConversationCost {
    try cost(try promptTokens(raw: prompt, images: images), images, session, options.speculation)
  }

  private func cost(
    _ tokens: Int, _ images: [ImageSource], _ session: SessionOptions, _ speculation: Speculation
  ) throws(OccamError) -> ConversationCost {
    let plan = try MemoryPlan(self, session, speculation, images: images)
    var pictures = 0
    for image in images {
      let bytes = try ImagePipeline.read(image)
      let size = try translating(image.name) { try imageSize(of: bytes, subject: image.name) }
      // Decoded, and once more while it is turned or scaled; above the limit it is scaled while it is decoded.
      pictures = max(pictures, min(size.width * size.height, ImagePipeline.scaledPixels) * 6)
      pictures += bytes.count
    }
    let activations = plan.activationBytes(textTokens: max(tokens - plan.visualTokens, 1))
    return ConversationCost(
      promptTokens: tokens, workingBytes: activations + pictures + plan.passingBytes, plan: plan)
  }
}
