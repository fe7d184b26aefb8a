import OccamGGUF

/// The tokens with a part to play, named by metadata or recognised by their text, as llama.cpp derives them
/// (llama-vocab.cpp, `llama_vocab::impl::load`). Where several texts stand for the same part, the lowest id takes it.
struct SpecialTokens: Sendable {
  private(set) var bos: Int?
  private(set) var eos: Int?
  private(set) var eot: Int?
  private(set) var unknown: Int?
  /// Any of these ends a generation.
  private(set) var endOfGeneration = Set<Int>()

  /// - Parameters: bos, eos, unknown: what the tokenizer model assumes when metadata says nothing.
  init(
    _ file: GGUFFile, _ vocabulary: inout Vocabulary, bos: Int?, eos: Int?, unknown: Int?
  ) throws(TokenizerError) {
    let count = vocabulary.count
    func declared(_ name: String, default fallback: Int? = nil) throws(TokenizerError) -> Int? {
      let key = "tokenizer.ggml.\(name)_token_id"
      let stored: Int?
      do {
        stored = try file.integer(key)
      } catch {
        throw TokenizerError(file.subject, .metadata(error))
      }
      guard let id = stored else { return fallback.flatMap { $0 < count ? $0 : nil } }
      guard id >= 0 && id < count else {
        throw TokenizerError(file.subject, .idOutOfRange(key: key, id: id, tokens: count))
      }
      return id
    }
    self.bos = try declared("bos", default: bos)
    self.eos = try declared("eos", default: eos)
    self.unknown = try declared("unknown", default: unknown)
    eot = try declared("eot") ?? SpecialTokens.recognise(SpecialTokens.endOfTurnNames, &vocabulary)
    let eom = try declared("eom") ?? SpecialTokens.recognise(["<|eom_id|>"], &vocabulary)

    for (name, texts, ends) in SpecialTokens.fillInTheMiddle {
      // Many files carry an id outside the vocabulary here, where nothing depends on it: then the text decides.
      let stored = (try? file.integer("tokenizer.ggml.\(name)_token_id")).flatMap { $0 }
      let id = stored.flatMap { $0 >= 0 && $0 < count ? $0 : nil } ?? SpecialTokens.recognise(texts, &vocabulary)
      if ends, let id { endOfGeneration.insert(id) }
    }
    for text in SpecialTokens.endNames {
      if let id = SpecialTokens.recognise([text], &vocabulary) { endOfGeneration.insert(id) }
    }
    for text in SpecialTokens.alwaysShown {
      if let id = vocabulary.id(text) { vocabulary.attributes[id] = [.userDefined, .neverTyped] }
    }
    endOfGeneration.formUnion([self.eos, eot, eom].compactMap { $0 })
    applyExceptions(&vocabulary)
  }

  /// Names that mean something else in company: `<|end|>` closes a message, not the turn, beside `<|return|>` and
  /// `<|call|>` (or `<|calls|>`/`<|call|>` and `<|flush|>`); `</s>` is plain text beside `<|tool_response>`.
  private mutating func applyExceptions(_ vocabulary: inout Vocabulary) {
    func ends(_ text: String) -> Int? {
      vocabulary.id(text).flatMap { endOfGeneration.contains($0) ? $0 : nil }
    }
    let call = ends("<|call|>") ?? ends("<|calls|>")
    if let end = ends("<|end|>"), call != nil, ends("<|return|>") != nil || ends("<|flush|>") != nil {
      endOfGeneration.remove(end)
      vocabulary.attributes[end] = [.userDefined, .neverTyped]
    }
    if let end = ends("</s>"), ends("<|tool_response>") != nil || ends("<|plamo:eos|>") != nil {
      endOfGeneration.remove(end)
      vocabulary.attributes[end] = .normal
    }
  }

  /// The first token (by id) with one of these texts; it becomes a control token if it was not one.
  private static func recognise(_ texts: [String], _ vocabulary: inout Vocabulary) -> Int? {
    guard let id = texts.compactMap({ vocabulary.id($0) }).min() else { return nil }
    vocabulary.attributes[id].insert(.control)
    return id
  }

  private static let endOfTurnNames = [
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<EOT>", "_<EOT>",
    "[EOT]", "<｜end▁of▁sentence｜>", "<end_of_utterance>",
  ]

  private static let endNames = [
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>", "<end_of_turn>",
    "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>",
    "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~[",
  ]

  private static let alwaysShown = ["<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"]

  /// Metadata name, texts, and whether the token ends a generation.
  private static let fillInTheMiddle: [(String, [String], Bool)] = [
    (
      "fim_pre",
      [
        "<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>", "<|code_prefix|>",
        "<|prefix|>",
      ], false
    ),
    (
      "fim_suf",
      [
        "<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>", "<|code_suffix|>",
        "<|suffix|>",
      ], false
    ),
    (
      "fim_mid",
      [
        "<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>", "<|code_middle|>",
        "<|middle|>",
      ], false
    ),
    ("fim_pad", ["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"], true),
    ("fim_rep", ["<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"], true),
    ("fim_sep", ["<|file_sep|>"], true),
  ]
}
