/// What a value of `tokenizer.ggml.pre` stands for.
struct PreTokenizerEntry: Sendable {
  let names: [String]
  let stages: [[PreTokenRule]]
  /// A stretch that is a token is one, whatever the merges say.
  var ignoresMerges = false
  /// BOS goes in front unless the file says otherwise.
  var addsBOS = false
  /// Merges run over UTF-8 with U+2581 for spaces instead of over GPT-2's byte alphabet.
  var escapesSpaces = false
  /// A stretch of newlines alone that is a token is one.
  var keepsNewlineRuns = false
  /// Without metadata, BOS and EOS are token 11, as GPT-2's converters assumed.
  var assumesBOS = true
}

/// The one table of pre-tokenisers: names and patterns as llama.cpp has them (src/llama-vocab.cpp of llama-cpp-python
/// 0.3.36: `llm_tokenizer_bpe` and `llama_vocab::impl::load`).
enum PreTokenizers {
  static let all: [PreTokenizerEntry] = [
    PreTokenizerEntry(
      names: ["default", ""],
      stages: [
        [.run(.any([.punctuation, .asciiSymbol]))], gpt2, [.run(.any(.number))], [.exactly(3, .any(.asciiDigit))],
      ]),
    PreTokenizerEntry(
      names: ["falcon"],
      stages: [
        [.run(.any([.punctuation, .asciiSymbol, .backtick]))], gpt2, [.exactly(3, .any(.asciiDigit))],
      ]),
    PreTokenizerEntry(
      names: [
        "gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0", "mellum",
        "modern-bert", "jina-v1-en", "jina-v2-code", "roberta-bpe", "exaone4", "mpt", "olmo", "jais", "trillion",
        "granite-docling",
      ], stages: [gpt2]),
    PreTokenizerEntry(
      names: ["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"],
      stages: [[.run(.any(.number), most: 1)], gpt2]),
    PreTokenizerEntry(
      names: [
        "llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano",
      ], stages: [words(digits: 3)], ignoresMerges: true, addsBOS: true),
    PreTokenizerEntry(names: ["dbrx", "smaug-bpe"], stages: [words(digits: 3)]),
    PreTokenizerEntry(names: ["chatglm-bpe"], stages: [words(digits: 3)], assumesBOS: false),
    PreTokenizerEntry(names: ["glm4", "glm5"], stages: [words(digits: 3)], ignoresMerges: true, assumesBOS: false),
    PreTokenizerEntry(
      names: [
        "qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan", "solar-open", "grok-2",
      ], stages: [words(digits: 1)]),
    PreTokenizerEntry(names: ["qwen35"], stages: [words(digits: 1, letters: [.letter, .mark])]),
    PreTokenizerEntry(names: ["ufakzeka"], stages: [Array(words(digits: 1).dropFirst())]),
    PreTokenizerEntry(names: ["bailingmoe", "bailingmoe2", "llada-moe"], stages: [words(digits: 1)]),
    PreTokenizerEntry(
      names: ["minicpm5"], stages: [[.run(.any(.number), most: 3)], words(digits: .max)], ignoresMerges: true),
    PreTokenizerEntry(
      names: ["seed-coder"],
      stages: [
        [
          .contraction(anyCase: true), .run(prefix: wordPrefix, .any(.letter)), .run(.any(.number), most: 1),
          .run(prefix: .any(.blank), .none([.space, .letter, .number])),
        ] + spaces
      ]),
    PreTokenizerEntry(
      names: ["tekken"], stages: [casedWords(digits: 1, contraction: false)], ignoresMerges: true, addsBOS: true),
    PreTokenizerEntry(
      names: ["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"],
      stages: [casedWords(digits: 3, contraction: true)]),
    PreTokenizerEntry(
      names: ["deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"],
      stages: [
        [.run(.any(.number), most: 3)], [.run(.any(.ideographOrKana))],
        [
          .led(by: .any(.asciiPunctuation), .any([.asciiLower, .asciiUpper])),
          .run(prefix: .none([.lineEnd, .letter, .punctuation, .symbol]), .any([.letter, .mark])),
          .run(prefix: .any(.blank), .any([.punctuation, .symbol]), suffix: .any(.lineEnd)),
        ] + spaces,
      ]),
    PreTokenizerEntry(
      names: ["gemma4", "granite-embed-multi-311m"], stages: [lines], escapesSpaces: true, keepsNewlineRuns: true),
    PreTokenizerEntry(names: ["sarvam-moe"], stages: [lines], escapesSpaces: true),
  ]

  static func named(_ name: String) -> PreTokenizerEntry? { all.first { $0.names.contains(name) } }

  // MARK: Patterns that several share

  private static let wordPrefix = ScalarSet.none([.lineEnd, .letter, .number])

  private static let spaces: [PreTokenRule] = [.spaceToLineEnd, .spaceBeforeText, .run(.any(.space))]

  private static let gpt2: [PreTokenRule] = [
    .contraction(anyCase: false), .run(prefix: .any(.blank), .any(.letter)), .run(prefix: .any(.blank), .any(.number)),
    .run(prefix: .any(.blank), .none([.space, .letter, .number])), .spaceBeforeText, .run(.any(.space)),
  ]

  private static func words(digits: Int, letters: ScalarClasses = .letter) -> [PreTokenRule] {
    [
      .contraction(anyCase: true), .run(prefix: wordPrefix, .any(letters)), .run(.any(.number), most: digits),
      .run(prefix: .any(.blank), .none(letters.union([.space, .number])), suffix: .any(.lineEnd)),
    ] + spaces
  }

  private static func casedWords(digits: Int, contraction: Bool) -> [PreTokenRule] {
    [
      .casedWord(prefix: wordPrefix, contraction: contraction), .run(.any(.number), most: digits),
      .run(prefix: .any(.blank), .none([.space, .letter, .number]), suffix: .any([.lineEnd, .slash])),
    ] + spaces
  }

  private static let lines: [PreTokenRule] = [.run(.none(.newline)), .run(.any(.newline))]
}
