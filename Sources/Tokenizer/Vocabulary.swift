import OccamCore
import OccamGGUF

/// What a token is for. The numbers in files are those of llama.h's `llama_token_type`; a token may gain `control`
/// later, because of its name.
struct TokenAttributes: OptionSet, Sendable {
  let rawValue: UInt16

  static let normal = TokenAttributes(rawValue: 1)
  static let unknown = TokenAttributes(rawValue: 2)
  static let control = TokenAttributes(rawValue: 4)
  static let userDefined = TokenAttributes(rawValue: 8)
  static let unused = TokenAttributes(rawValue: 16)
  static let byte = TokenAttributes(rawValue: 32)
  /// In text, white space after the token belongs to it.
  static let stripsRight = TokenAttributes(rawValue: 64)
  /// In text, white space before the token belongs to it.
  static let stripsLeft = TokenAttributes(rawValue: 128)
  /// Shows its text like a user-defined token, but the file calls it control: typed text never becomes it.
  static let neverTyped = TokenAttributes(rawValue: 256)

  init(rawValue: UInt16) { self.rawValue = rawValue }

  init(type: Int) {
    switch type {
    case 1: self = .normal
    case 2: self = .unknown
    case 3: self = .control
    case 4: self = .userDefined
    case 5: self = .unused
    case 6: self = .byte
    default: self = []
    }
  }
}

/// The token list of a file: text bytes, score and attributes per id, and the way back from bytes to id.
struct Vocabulary: Sendable {
  let texts: GGUFStrings
  let scores: [Float]
  var attributes: [TokenAttributes]
  private let index: TokenIndex

  var count: Int { texts.count }
  var longest: Int { index.longest }

  init(_ file: GGUFFile) throws(TokenizerError) {
    var texts = GGUFStrings()
    let scores: [Float]?
    let types: [Int]?
    do {
      let stored = try file.requireByteStrings(Key.tokens)
      // An empty text would match everywhere; llama.cpp gives such tokens this name.
      for id in 0..<stored.count {
        let text = stored.bytes(id)
        if text.isEmpty { texts.append("[EMPTY_\(id)]".utf8) } else { texts.append(text) }
      }
      if case .array(.int32(let whole)) = file.metadata[Key.scores] {
        scores = whole.map { Float($0) }
      } else {
        scores = try file.floats(Key.scores)
      }
      types = try file.integers(Key.types)
    } catch {
      throw TokenizerError(file.subject, .metadata(error))
    }
    let count = texts.count
    guard count > 0 else { throw TokenizerError(file.subject, .emptyVocabulary) }
    guard count <= Int(Int32.max) else { throw TokenizerError(file.subject, .tooManyTokens(count)) }
    for (key, found) in [(Key.scores, scores?.count), (Key.types, types?.count)] {
      if let found, found != count {
        throw TokenizerError(file.subject, .lengthMismatch(key: key, found: found, tokens: count))
      }
    }
    self.texts = texts
    self.scores = scores ?? [Float](repeating: 0, count: count)
    attributes = types?.map(TokenAttributes.init(type:)) ?? [TokenAttributes](repeating: .normal, count: count)
    var index = TokenIndex(texts)
    let duplicates = index.fill()
    if let (first, second) = duplicates.first {
      Log.warning(
        "'\(file.subject)': \(duplicates.count) tokens have the text of another (\(second) that of \(first)); "
          + "text becomes the first of them")
    }
    self.index = index
  }

  /// The token whose text is exactly these bytes.
  func id(_ bytes: UnsafeBufferPointer<UInt8>) -> Int? { index.find(bytes) }

  func id(_ bytes: [UInt8]) -> Int? { bytes.withUnsafeBufferPointer { index.find($0) } }

  func id(_ text: String) -> Int? { id(Array(text.utf8)) }

  func isControl(_ id: Int) -> Bool { !attributes[id].isDisjoint(with: [.control, .unknown]) }

  /// The text of byte tokens: `<0x0A>`.
  static func byteName(_ byte: Int) -> [UInt8] {
    let digits = Array("0123456789ABCDEF".utf8)
    return Array("<0x".utf8) + [digits[byte >> 4 & 15], digits[byte & 15]] + [UInt8(ascii: ">")]
  }

  static func byte(named text: ArraySlice<UInt8>) -> UInt8? {
    let name = Array(text)
    guard name.count == 6, name.starts(with: "<0x".utf8), name[5] == UInt8(ascii: ">") else { return nil }
    return UInt8(String(decoding: name[3..<5], as: UTF8.self), radix: 16)
  }

  enum Key {
    static let model = "tokenizer.ggml.model"
    static let pre = "tokenizer.ggml.pre"
    static let tokens = "tokenizer.ggml.tokens"
    static let scores = "tokenizer.ggml.scores"
    static let types = "tokenizer.ggml.token_type"
  }
}

/// Bytes to id: an open-addressing table that points into the vocabulary's own bytes, so that a look-up allocates
/// nothing. Hashes are seeded per process; a crafted vocabulary cannot make it slow.
private struct TokenIndex: Sendable {
  private let texts: GGUFStrings
  /// id + 1, or 0 for a free slot. At most half full.
  private var slots: [Int32]
  private(set) var longest = 0

  init(_ texts: GGUFStrings) {
    self.texts = texts
    var size = 16
    while size < texts.count * 2 { size *= 2 }
    slots = [Int32](repeating: 0, count: size)
    for id in 0..<texts.count { longest = max(longest, texts.range(id).count) }
  }

  /// - Returns: ids whose text an earlier id has, which keeps it, and these. Published files have some (llama.cpp's
  ///   issue 25739).
  mutating func fill() -> [(Int, Int)] {
    var duplicates: [(Int, Int)] = []
    texts.storage.withUnsafeBufferPointer { storage in
      for id in 0..<texts.count {
        let slot = slot(of: UnsafeBufferPointer(rebasing: storage[texts.range(id)]), storage)
        if slots[slot] == 0 { slots[slot] = Int32(id + 1) } else { duplicates.append((Int(slots[slot]) - 1, id)) }
      }
    }
    return duplicates
  }

  func find(_ bytes: UnsafeBufferPointer<UInt8>) -> Int? {
    if bytes.count > longest { return nil }
    return texts.storage.withUnsafeBufferPointer { storage in
      let found = slots[slot(of: bytes, storage)]
      return found == 0 ? nil : Int(found) - 1
    }
  }

  /// The slot that holds these bytes, or the free one where they would go.
  private func slot(of bytes: UnsafeBufferPointer<UInt8>, _ storage: UnsafeBufferPointer<UInt8>) -> Int {
    var hasher = Hasher()
    hasher.combine(bytes: UnsafeRawBufferPointer(bytes))
    let mask = slots.count - 1
    var slot = hasher.finalize() & mask
    while slots[slot] != 0 {
      let range = texts.range(Int(slots[slot]) - 1)
      if range.count == bytes.count, storage[range].elementsEqual(bytes) { return slot }
      slot = (slot + 1) & mask
    }
    return slot
  }
}
