import OccamGGUF

/// What turns plain text into tokens and back, once special tokens are dealt with. One type per value of
/// `tokenizer.ggml.model`.
protocol TokenizerModel: Sendable {
  /// Appends the tokens of one stretch of text.
  /// - Parameters:
  ///   - afterSpecial: whether the stretch opens the input or follows a special token.
  ///   - mergesControl: whether a text that spells a control token piece by piece may merge into it, as llama.cpp has
  ///     it. Off where the text must not command.
  func encode(
    _ text: UnsafeBufferPointer<UInt8>, afterSpecial: Bool, mergesControl: Bool, into tokens: inout [Int32])

  /// The bytes a normal or byte token stands for.
  func bytes(of id: Int) -> [UInt8]

  /// Whether `encode` puts a space before text, which decoding a whole reply takes away again.
  var addsSpacePrefix: Bool { get }
}

/// SentencePiece's BPE as `llama` vocabularies use it: adjacent symbols merge in the order of their joint token's
/// score (ties: leftmost first) until no pair is a token; characters outside the vocabulary become byte tokens.
struct SentencePieceModel: TokenizerModel {
  private let vocabulary: Vocabulary
  /// The token of each byte, for what the vocabulary cannot spell: `<0xHH>`, else the byte itself, else unknown.
  private let byteTokens: [Int32?]
  /// Of each byte whether a token has it in front of a space.
  private let precedesSpace: [Bool]
  let addsSpacePrefix: Bool

  /// U+2581, which stands for a space inside tokens.
  private static let space: [UInt8] = [0xE2, 0x96, 0x81]

  init(_ file: GGUFFile, _ vocabulary: Vocabulary, unknown: Int?) throws(TokenizerError) {
    do {
      addsSpacePrefix = try file.bool("tokenizer.ggml.add_space_prefix") ?? true
    } catch {
      throw TokenizerError(file.subject, .metadata(error))
    }
    self.vocabulary = vocabulary
    precedesSpace = SentencePieceModel.bytesBeforeSpaces(vocabulary)
    byteTokens = (0..<256).map { byte in
      (vocabulary.id(Vocabulary.byteName(byte)) ?? vocabulary.id([UInt8(byte)]) ?? unknown).map { Int32($0) }
    }
  }

  func encode(
    _ text: UnsafeBufferPointer<UInt8>, afterSpecial: Bool, mergesControl: Bool, into tokens: inout [Int32]
  ) {
    let escaped = SentencePieceModel.escaped(text, prefix: addsSpacePrefix && afterSpecial)
    escaped.withUnsafeBufferPointer { bytes in
      var merger = Merger(vocabulary, mergesControl: mergesControl)
      var start = 0
      while start < bytes.count {
        let end = endOfStretch(bytes, from: start)
        encode(UnsafeBufferPointer(rebasing: bytes[start..<end]), &merger, into: &tokens)
        start = end
      }
    }
  }

  private func encode(_ stretch: UnsafeBufferPointer<UInt8>, _ merger: inout Merger, into tokens: inout [Int32]) {
    merger.run(stretch)
    for symbol in merger.symbols where symbol.count > 0 {
      let piece = UnsafeBufferPointer(rebasing: stretch[symbol.start..<symbol.start + symbol.count])
      if let id = vocabulary.id(piece) {
        tokens.append(Int32(id))
      } else {
        tokens.append(contentsOf: piece.compactMap { byteTokens[Int($0)] })
      }
    }
  }

  /// Where the text may be cut without a change to its tokens: in front of a space, behind a byte that stands so in no
  /// token. Nothing merges across, and the pairs of a word fit the processor's cache, those of a book do not.
  private func endOfStretch(_ bytes: UnsafeBufferPointer<UInt8>, from start: Int) -> Int {
    var place = start + SentencePieceModel.scalarLength(bytes[start])
    while place < bytes.count {
      if bytes[place] == SentencePieceModel.space[0], !precedesSpace[Int(bytes[place - 1])],
        bytes[place...].starts(with: SentencePieceModel.space)
      {
        return place
      }
      place += SentencePieceModel.scalarLength(bytes[place])
    }
    return bytes.count
  }

  private static func bytesBeforeSpaces(_ vocabulary: Vocabulary) -> [Bool] {
    var result = [Bool](repeating: false, count: 256)
    for id in 0..<vocabulary.count {
      let text = vocabulary.texts.bytes(id)
      for place in text.indices.dropFirst()
      where text[place] == space[0] && text[place...].starts(with: space) {
        result[Int(text[place - 1])] = true
      }
    }
    return result
  }

  func bytes(of id: Int) -> [UInt8] {
    let text = vocabulary.texts.bytes(id)
    let attributes = vocabulary.attributes[id]
    if attributes.contains(.normal) { return SentencePieceModel.unescaped(text) }
    return attributes.contains(.byte) ? Vocabulary.byte(named: text).map { [$0] } ?? [] : []
  }

  /// Text as tokens spell it: U+2581 for each space.
  static func escaped(_ text: UnsafeBufferPointer<UInt8>, prefix: Bool) -> [UInt8] {
    var escaped: [UInt8] = []
    escaped.reserveCapacity(text.count + text.count / 2 + 3)
    if prefix { escaped += space }
    for byte in text {
      if byte == 32 { escaped += space } else { escaped.append(byte) }
    }
    return escaped
  }

  /// Bytes of the character that begins with this byte.
  static func scalarLength(_ lead: UInt8) -> Int {
    switch lead {
    case 0xF0...: 4
    case 0xE0...: 3
    case 0xC0...: 2
    default: 1
    }
  }

  static func unescaped(_ text: ArraySlice<UInt8>) -> [UInt8] {
    var result: [UInt8] = []
    var rest = text
    while let byte = rest.first {
      if rest.starts(with: space) {
        result.append(32)
        rest = rest.dropFirst(3)
      } else {
        result.append(byte)
        rest = rest.dropFirst()
      }
    }
    return result
  }
}

/// The merging of one stretch of text after the other, in the same memory.
private struct Merger {
  /// A run of bytes; merged-away symbols have count 0. Neighbours are indices, -1 where there is none.
  struct Symbol {
    var start: Int
    var count: Int
    var previous: Int
    var next: Int
  }

  private struct Pair: HeapOrdered {
    let score: Float
    /// Bytes of both symbols when the pair was found; a different sum later means that one of them has changed.
    let count: UInt32
    let left: Int

    func precedes(_ other: Pair) -> Bool { score > other.score || (score == other.score && left < other.left) }
  }

  private let vocabulary: Vocabulary
  private let mergesControl: Bool
  private(set) var symbols: [Symbol] = []
  private var queue = Heap<Pair>()

  init(_ vocabulary: Vocabulary, mergesControl: Bool) {
    self.mergesControl = mergesControl
    self.vocabulary = vocabulary
  }

  private mutating func split(_ bytes: UnsafeBufferPointer<UInt8>) {
    symbols.removeAll(keepingCapacity: true)
    var start = 0
    while start < bytes.count {
      let count = min(SentencePieceModel.scalarLength(bytes[start]), bytes.count - start)
      let index = symbols.count
      let next = start + count < bytes.count ? index + 1 : -1
      symbols.append(Symbol(start: start, count: count, previous: index - 1, next: next))
      start += count
    }
  }

  /// Leaves the stretch's tokens in `symbols`.
  mutating func run(_ bytes: UnsafeBufferPointer<UInt8>) {
    split(bytes)
    for left in symbols.indices.dropLast() { propose(left, left + 1, bytes) }
    while let pair = queue.pop() {
      let left = symbols[pair.left]
      guard left.count > 0, left.next >= 0 else { continue }
      let right = symbols[left.next]
      guard left.count + right.count == Int(pair.count) else { continue }
      symbols[pair.left].count += right.count
      symbols[pair.left].next = right.next
      symbols[left.next].count = 0
      if right.next >= 0 { symbols[right.next].previous = pair.left }
      propose(left.previous, pair.left, bytes)
      propose(pair.left, right.next, bytes)
    }
  }

  private mutating func propose(_ left: Int, _ right: Int, _ bytes: UnsafeBufferPointer<UInt8>) {
    guard left >= 0, right >= 0 else { return }
    let start = symbols[left].start
    let count = symbols[left].count + symbols[right].count
    guard let id = vocabulary.id(UnsafeBufferPointer(rebasing: bytes[start..<start + count])),
      mergesControl || !vocabulary.isControl(id)
    else { return }
    // As long as a token is: GGUF's limits keep that far below 32 bits.
    queue.push(Pair(score: vocabulary.scores[id], count: UInt32(truncatingIfNeeded: count), left: left))
  }
}
