import OccamCore
import OccamGGUF

/// Text to token ids and back, for the vocabulary of one model file. Immutable; share it freely.
///
/// Results are those of llama.cpp's `llama_tokenize` and `llama_token_to_piece` for the same file.
package struct Tokenizer: Sendable {
  /// Values of `tokenizer.ggml.model` that are understood.
  package static let supportedModels = ["llama", "gpt2", "gemma4"]

  private let vocabulary: Vocabulary
  private let special: SpecialTokens
  private let matcher: SpecialMatcher
  private let model: any TokenizerModel

  /// Whether the model was trained with a BOS token in front (`addSpecial` then puts it there).
  package let addBOS: Bool
  /// Whether `addSpecial` puts EOS at the end.
  package let addEOS: Bool

  package init(metadata file: GGUFFile) throws(TokenizerError) {
    let name: String
    let pre: String
    let addBOS: Bool?
    let addEOS: Bool?
    do {
      name = try file.requireString(Vocabulary.Key.model)
      pre = try file.string(Vocabulary.Key.pre) ?? ""
      addBOS = try file.bool("tokenizer.ggml.add_bos_token")
      addEOS = try file.bool("tokenizer.ggml.add_eos_token")
    } catch {
      throw TokenizerError(file.subject, .metadata(error))
    }
    var vocabulary = try Vocabulary(file)
    switch name {
    case "llama":
      special = try SpecialTokens(file, &vocabulary, bos: 1, eos: 2, unknown: 0)
      Tokenizer.applyStripping(file, pre, &vocabulary)
      model = try SentencePieceModel(file, vocabulary, unknown: special.unknown)
      self.addBOS = addBOS ?? true
    case "gpt2", "gemma4":
      guard let entry = PreTokenizers.named(name == "gemma4" ? "gemma4" : pre) else {
        throw TokenizerError(file.subject, .unsupportedPreTokenizer(pre))
      }
      if name == "gpt2", pre.isEmpty {
        Log.warning("'\(file.subject)' names no pre-tokenizer: text is cut by the default one, answers may suffer")
      }
      let assumed = name == "gpt2" ? 11 : nil
      special = try SpecialTokens(
        file, &vocabulary, bos: entry.assumesBOS ? assumed : nil, eos: assumed, unknown: nil)
      Tokenizer.applyStripping(file, pre, &vocabulary)
      model = try BytePairModel(file, vocabulary, entry)
      // Gemma 4's files say false, and its prompts need it (llama.cpp's pull request 21500).
      self.addBOS = entry.keepsNewlineRuns || (addBOS ?? entry.addsBOS)
    default: throw TokenizerError(file.subject, .unsupportedModel(name))
    }
    matcher = SpecialMatcher(vocabulary)
    self.vocabulary = vocabulary
    self.addEOS = addEOS ?? false
  }

  /// Some models' special tokens swallow the white space beside them. No metadata says so; llama.cpp goes by the names
  /// of model and pre-tokeniser, and so must we to read prompts alike.
  private static func applyStripping(_ file: GGUFFile, _ pre: String, _ vocabulary: inout Vocabulary) {
    var lower = ""
    if case .string(let name) = file.metadata["general.name"] { lower = name.lowercased() }
    if ["jina-v2-de", "jina-v2-es", "jina-v2-code"].contains(pre) {
      if let mask = vocabulary.id("<mask>") { vocabulary.attributes[mask].insert(.stripsLeft) }
    } else if lower.contains("phi-3") || lower.contains("phi3") {
      let plain = Set(["<unk>", "<s>", "<|endoftext|>"].compactMap { vocabulary.id($0) })
      for id in 0..<vocabulary.count where !plain.contains(id) {
        if !vocabulary.attributes[id].isDisjoint(with: [.control, .userDefined, .unknown]) {
          vocabulary.attributes[id].insert(.stripsRight)
        }
      }
    } else if lower.contains("modern-bert"), let mask = vocabulary.id("[MASK]") {
      vocabulary.attributes[mask].insert(.stripsLeft)
    }
  }

  // MARK: Vocabulary

  package var vocabularySize: Int { vocabulary.count }
  package var bos: Int32? { special.bos.map { Int32($0) } }
  package var eos: Int32? { special.eos.map { Int32($0) } }
  /// End of turn, where the vocabulary has such a token.
  package var eot: Int32? { special.eot.map { Int32($0) } }
  package var unknown: Int32? { special.unknown.map { Int32($0) } }

  /// Whether a model that emits this token has finished its answer: EOS, EOT and what else serves as such.
  package func isEndOfGeneration(_ id: Int32) -> Bool { special.endOfGeneration.contains(Int(id)) }

  /// Whether the token is control or unknown: it has a text, but is not part of an answer's text.
  package func isControl(_ id: Int32) -> Bool {
    guard vocabulary.texts.indices.contains(Int(id)) else { return false }
    return !vocabulary.attributes[Int(id)].isDisjoint(with: [.control, .unknown])
  }

  /// The token with exactly this text, as the vocabulary spells it (spaces as U+2581).
  package func token(_ text: String) -> Int32? { vocabulary.id(text).map { Int32($0) } }

  /// What keeps tokens of one vocabulary from being read as those of another, for people; nil: nothing. Behind the
  /// shorter list the longer one may have tokens that are not in use: embedding tables are padded to round sizes.
  package func difference(from other: Tokenizer) -> String? {
    func name(_ id: Int, _ vocabulary: Vocabulary) -> String {
      "'\(String(decoding: vocabulary.texts.bytes(id), as: UTF8.self))'"
    }
    let (mine, theirs) = (vocabulary, other.vocabulary)
    let common = min(mine.count, theirs.count)
    for id in 0..<common where !mine.texts.bytes(id).elementsEqual(theirs.texts.bytes(id)) {
      return "token \(id) is \(name(id, mine)) here and \(name(id, theirs)) there"
    }
    let longer = mine.count > common ? mine : theirs
    if let id = (common..<longer.count).first(where: { !longer.attributes[$0].contains(.unused) }) {
      return "\(mine.count) tokens here and \(theirs.count) there, where \(id) is \(name(id, longer))"
    }
    for (word, one, another) in [
      ("begins a text", bos, other.bos), ("ends a text", eos, other.eos), ("ends a turn", eot, other.eot),
    ] where one != another {
      return "what \(word) is \(one.map { "token \($0)" } ?? "no token") here and "
        + "\(another.map { "token \($0)" } ?? "none") there"
    }
    return nil
  }

  // MARK: Text to tokens

  /// - Parameters:
  ///   - addSpecial: put BOS in front and EOS behind, as far as the model wants them.
  ///   - parseSpecial: read the texts of control tokens as these tokens. Off for text that a user typed, or the user
  ///     could end the turn. User-defined tokens are recognised in any case.
  package func encode(_ text: String, addSpecial: Bool, parseSpecial: Bool) -> [Int32] {
    var tokens: [Int32] = []
    if addSpecial && addBOS, let bos { tokens.append(bos) }
    var text = text
    text.withUTF8 { encode($0, scope: parseSpecial ? .everywhere : .nowhere, into: &tokens) }
    if addSpecial && addEOS, let eos { tokens.append(eos) }
    return tokens
  }

  func encode(_ bytes: UnsafeBufferPointer<UInt8>, scope: SpecialMatcher.Scope, into tokens: inout [Int32]) {
    var afterSpecial = true
    for fragment in matcher.split(bytes, scope: scope) {
      switch fragment {
      case .token(let id):
        tokens.append(Int32(id))
        afterSpecial = true
      case .text(let range):
        model.encode(
          UnsafeBufferPointer(rebasing: bytes[range]), afterSpecial: afterSpecial,
          mergesControl: scope.mergesControl, into: &tokens)
        afterSpecial = false
      }
    }
  }

  // MARK: Tokens to text

  /// The control or user-defined token of this text; nil: there is none.
  package func id(ofControl text: String) -> Int32? {
    guard let index = vocabulary.id(text) else { return nil }
    return vocabulary.attributes[index].isDisjoint(with: [.control, .userDefined]) ? nil : Int32(index)
  }

  /// The bytes one token adds to the text; a character may be spread over several tokens (see `StreamingDecoder`).
  /// - Parameter special: whether control and unknown tokens show their text or nothing.
  /// - Returns: nothing for ids outside the vocabulary and for unused tokens.
  package func bytes(of id: Int32, special: Bool) -> [UInt8] {
    let index = Int(id)
    guard vocabulary.texts.indices.contains(index) else { return [] }
    let attributes = vocabulary.attributes[index]
    let hidden = !attributes.isDisjoint(with: [.control, .unknown])
    if hidden && !special { return [] }
    if hidden || attributes.contains(.userDefined) { return Array(vocabulary.texts.bytes(index)) }
    return model.bytes(of: index)
  }

  /// The text of a whole sequence, without the space that encoding put in front of it. Bytes that are not UTF-8 become
  /// U+FFFD.
  package func decode(_ tokens: some Sequence<Int32>, special: Bool) -> String {
    var result: [UInt8] = []
    var first = true
    for token in tokens {
      var piece = bytes(of: token, special: special)
      if first && model.addsSpacePrefix && piece.first == 32 { piece.removeFirst() }
      first = false
      result += piece
    }
    return String(decoding: result, as: UTF8.self)
  }
}
