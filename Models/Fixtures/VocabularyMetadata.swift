import OccamGGUF

/// A fixture's vocabulary as metadata, and which of its tokens are worth reading.
package struct VocabularyMetadata: Sendable {
  private(set) var entries: MetadataEntries
  let count: Int
  /// Factor of a token's rows in the embedding and output matrices.
  let rowScale: @Sendable (Int) -> Float

  init(_ vocabulary: FixtureSpec.Vocabulary, _ family: any FixtureFamily.Type) throws(GGUFError) {
    switch vocabulary {
    case .builtIn(let count): self = family.vocabulary(minimumCount: count)
    case .file(let path): try self.init(file: path, template: family.vocabulary(minimumCount: 0).template)
    }
  }

  init(_ vocabulary: BuiltInVocabulary, beginning: UInt32, end: UInt32, unknown: UInt32, template: String) {
    entries = [
      ("tokenizer.ggml.model", .string("llama")),
      ("tokenizer.ggml.pre", .string("default")),
      ("tokenizer.ggml.tokens", .array(.string(GGUFStrings(vocabulary.pieces)))),
      ("tokenizer.ggml.scores", .array(.float32(vocabulary.scores))),
      ("tokenizer.ggml.token_type", .array(.int32(vocabulary.kinds.map(\.rawValue)))),
      ("tokenizer.ggml.bos_token_id", .uint32(beginning)),
      ("tokenizer.ggml.eos_token_id", .uint32(end)),
      ("tokenizer.ggml.unknown_token_id", .uint32(unknown)),
      ("tokenizer.ggml.add_bos_token", .bool(true)),
      ("tokenizer.ggml.add_eos_token", .bool(false)),
      ("tokenizer.chat_template", .string(template)),
    ]
    count = vocabulary.count
    let isReadable = vocabulary.isReadable
    rowScale = { isReadable[$0] ? 1 : 0.2 }
  }

  /// - Parameters: pre: llama.cpp's name of the pre-tokenizer; addsBeginning: prompts begin with `beginning`.
  init(
    _ vocabulary: BytePairVocabulary, pre: String, beginning: String, end: String, padding: String,
    addsBeginning: Bool = false, template: String
  ) {
    entries = [
      ("tokenizer.ggml.model", .string("gpt2")),
      ("tokenizer.ggml.pre", .string(pre)),
      ("tokenizer.ggml.tokens", .array(.string(GGUFStrings(vocabulary.pieces)))),
      ("tokenizer.ggml.token_type", .array(.int32(vocabulary.kinds.map(\.rawValue)))),
      ("tokenizer.ggml.merges", .array(.string(GGUFStrings(vocabulary.merges)))),
      ("tokenizer.ggml.bos_token_id", .uint32(vocabulary.id(beginning))),
      ("tokenizer.ggml.eos_token_id", .uint32(vocabulary.id(end))),
      ("tokenizer.ggml.padding_token_id", .uint32(vocabulary.id(padding))),
      ("tokenizer.ggml.add_bos_token", .bool(addsBeginning)),
      ("tokenizer.chat_template", .string(template)),
    ]
    count = vocabulary.pieces.count
    let isReadable = vocabulary.isReadable
    rowScale = { isReadable[$0] ? 1 : 0.2 }
  }

  /// - Parameter model: `tokenizer.ggml.model` of byte-pair merges over UTF-8.
  init(
    _ vocabulary: WholeTextVocabulary, model: String, beginning: String, end: String, padding: String, template: String
  ) {
    entries = [
      ("tokenizer.ggml.model", .string(model)),
      ("tokenizer.ggml.tokens", .array(.string(GGUFStrings(vocabulary.pieces)))),
      ("tokenizer.ggml.scores", .array(.float32(Array(repeating: 0, count: vocabulary.pieces.count)))),
      ("tokenizer.ggml.token_type", .array(.int32(vocabulary.kinds.map(\.rawValue)))),
      ("tokenizer.ggml.merges", .array(.string(GGUFStrings(vocabulary.merges)))),
      ("tokenizer.ggml.bos_token_id", .uint32(vocabulary.id(beginning))),
      ("tokenizer.ggml.eos_token_id", .uint32(vocabulary.id(end))),
      ("tokenizer.ggml.padding_token_id", .uint32(vocabulary.id(padding))),
      ("tokenizer.ggml.add_space_prefix", .bool(false)),
      ("tokenizer.ggml.add_bos_token", .bool(true)),
      ("tokenizer.chat_template", .string(template)),
    ]
    count = vocabulary.pieces.count
    let isReadable = vocabulary.isReadable
    rowScale = { isReadable[$0] ? 1 : 0.2 }
  }

  private init(file path: String, template: String) throws(GGUFError) {
    let file = try GGUFFile(path: path)
    var entries: MetadataEntries = []
    for key in file.metadata.keys where key.utf8.starts(with: "tokenizer.".utf8) {
      if let value = file.metadata[key] { entries.append((key, value)) }
    }
    if file.metadata["tokenizer.chat_template"] == nil {
      entries.append(("tokenizer.chat_template", .string(template)))
    }
    self.entries = entries
    count = try file.requireByteStrings("tokenizer.ggml.tokens").count
    rowScale = { _ in 1 }
  }

  /// With one more entry before the chat template.
  func setting(_ key: String, _ value: GGUFValue) -> VocabularyMetadata {
    var copy = self
    copy.entries.insert((key, value), at: copy.entries.count - 1)
    return copy
  }

  private var template: String {
    if case .string(let text) = entries.last?.value { return text }
    return ""
  }
}
