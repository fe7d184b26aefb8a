import OccamGGUF

/// A fixture's vocabulary as metadata, and which of its tokens are worth reading.
struct VocabularyMetadata {
  let entries: Entries
  let count: Int
  /// Factor of a token's rows in the embedding and output matrices.
  let rowScale: @Sendable (Int) -> Float

  init(_ vocabulary: FixtureSpec.Vocabulary) throws(GGUFError) {
    switch vocabulary {
    case .builtIn: self.init(BuiltInVocabulary())
    case .file(let path): try self.init(file: path)
    }
  }

  private init(_ vocabulary: BuiltInVocabulary) {
    entries = [
      ("tokenizer.ggml.model", .string("llama")),
      ("tokenizer.ggml.pre", .string("default")),
      ("tokenizer.ggml.tokens", .array(.string(GGUFStrings(vocabulary.pieces)))),
      ("tokenizer.ggml.scores", .array(.float32(vocabulary.scores))),
      ("tokenizer.ggml.token_type", .array(.int32(vocabulary.kinds.map(\.rawValue)))),
      ("tokenizer.ggml.bos_token_id", .uint32(1)),
      ("tokenizer.ggml.eos_token_id", .uint32(2)),
      ("tokenizer.ggml.unknown_token_id", .uint32(0)),
      ("tokenizer.ggml.add_bos_token", .bool(true)),
      ("tokenizer.ggml.add_eos_token", .bool(false)),
      ("tokenizer.chat_template", .string(Self.template)),
    ]
    count = vocabulary.count
    let isReadable = vocabulary.isReadable
    rowScale = { isReadable[$0] ? 1 : 0.2 }
  }

  private init(file path: String) throws(GGUFError) {
    let file = try GGUFFile(path: path)
    var entries: Entries = []
    for key in file.metadata.keys where key.utf8.starts(with: "tokenizer.".utf8) {
      if let value = file.metadata[key] { entries.append((key, value)) }
    }
    if file.metadata["tokenizer.chat_template"] == nil {
      entries.append(("tokenizer.chat_template", .string(Self.template)))
    }
    self.entries = entries
    count = try file.requireByteStrings("tokenizer.ggml.tokens").count
    rowScale = { _ in 1 }
  }

  /// The Vicuna form of prompt that LLaVA-1.5 was trained with.
  private static let template = """
    {% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] + ' ' }}\
    {% elif message['role'] == 'user' %}{{ 'USER: ' + message['content'] + ' ' }}\
    {% elif message['role'] == 'assistant' %}{{ 'ASSISTANT: ' + message['content'] + '</s>' }}{% endif %}{% endfor %}\
    {% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}
    """
}
