import OccamGGUF

/// What turns plain text into tokens and back, once special tokens are dealt with. One type per value of
/// `tokenizer.ggml.model`.
protocol TokenizerModel: Sendable {
  /// Appends the tokens of one stretch of text.
  /// - Parameter afterSpecial: whether the stretch opens the input or follows a special token.
  func encode(_ text: UnsafeBufferPointer<UInt8>, afterSpecial: Bool, into tokens: inout [Int32])

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
    byteTokens = (0..<256).map { byte in
      let digits = Array("0123456789ABCDEF".utf8)
      let name = Array("<0x".utf8) + [digits[byte >> 4], digits[byte & 15]] + Array(">".utf8)
      return (vocabulary.id(name) ?? vocabulary.id([UInt8(byte)]) ?? unknown).map { Int32($0) }
    }
  }

  func encode(_ text: UnsafeBufferPointer<UInt8>, afterSpecial: Bool, into tokens: inout [Int32]) {
    var escaped: [UInt8] = []
    escaped.reserveCapacity(text.count + text.count / 2 + 3)
    if addsSpacePrefix && afterSpecial { escaped += SentencePieceModel.space }
    for byte in text {
      if byte == 32 { escaped += SentencePieceModel.space } else { escaped.append(byte) }
    }
    escaped.withUnsafeBufferPointer { bytes in
      var merger = Merger(bytes, vocabulary)
      merger.run()
      for symbol in merger.symbols where symbol.count > 0 {
        let piece = UnsafeBufferPointer(rebasing: bytes[symbol.start..<symbol.start + symbol.count])
        if let id = vocabulary.id(piece) {
          tokens.append(Int32(id))
        } else {
          tokens.append(contentsOf: piece.compactMap { byteTokens[Int($0)] })
        }
      }
    }
  }

  func bytes(of id: Int) -> [UInt8] {
    let text = vocabulary.texts.bytes(id)
    let attributes = vocabulary.attributes[id]
    if attributes.contains(.normal) { return SentencePieceModel.unescaped(text) }
    if attributes.contains(.byte) {
      let name = Array(text)
      guard name.count == 6, name.starts(with: "<0x".utf8), name[5] == UInt8(ascii: ">"),
        let byte = UInt8(String(decoding: name[3..<5], as: UTF8.self), radix: 16)
      else { return [] }
      return [byte]
    }
    return []
  }

  private static func unescaped(_ text: ArraySlice<UInt8>) -> [UInt8] {
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

/// The merging of one stretch of text.
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
    let left: Int
    let right: Int
    /// Bytes of both symbols when the pair was found; a different sum later means that one of them has changed.
    let count: Int

    func precedes(_ other: Pair) -> Bool { score > other.score || (score == other.score && left < other.left) }
  }

  private let bytes: UnsafeBufferPointer<UInt8>
  private let vocabulary: Vocabulary
  private(set) var symbols: [Symbol] = []
  private var queue = Heap<Pair>()

  /// - Parameter bytes: valid UTF-8.
  init(_ bytes: UnsafeBufferPointer<UInt8>, _ vocabulary: Vocabulary) {
    self.bytes = bytes
    self.vocabulary = vocabulary
    symbols.reserveCapacity(bytes.count)
    var start = 0
    while start < bytes.count {
      let count = min(Merger.scalarLength(bytes[start]), bytes.count - start)
      let index = symbols.count
      let next = start + count < bytes.count ? index + 1 : -1
      symbols.append(Symbol(start: start, count: count, previous: index - 1, next: next))
      start += count
    }
  }

  mutating func run() {
    for left in symbols.indices.dropLast() { propose(left, left + 1) }
    while let pair = queue.pop() {
      let right = symbols[pair.right]
      guard symbols[pair.left].count > 0, right.count > 0, symbols[pair.left].count + right.count == pair.count
      else { continue }
      symbols[pair.left].count += right.count
      symbols[pair.left].next = right.next
      symbols[pair.right].count = 0
      if right.next >= 0 { symbols[right.next].previous = pair.left }
      propose(symbols[pair.left].previous, pair.left)
      propose(pair.left, right.next)
    }
  }

  private mutating func propose(_ left: Int, _ right: Int) {
    guard left >= 0, right >= 0 else { return }
    let start = symbols[left].start
    let count = symbols[left].count + symbols[right].count
    guard let id = vocabulary.id(UnsafeBufferPointer(rebasing: bytes[start..<start + count])) else { return }
    queue.push(Pair(score: vocabulary.scores[id], left: left, right: right, count: count))
  }

  private static func scalarLength(_ lead: UInt8) -> Int {
    switch lead {
    case 0xF0...: 4
    case 0xE0...: 3
    case 0xC0...: 2
    default: 1
    }
  }
}

protocol HeapOrdered {
  func precedes(_ other: Self) -> Bool
}

/// A binary heap; the element that precedes all others is popped first.
struct Heap<Element: HeapOrdered> {
  private var elements: [Element] = []

  mutating func push(_ element: Element) {
    elements.append(element)
    var child = elements.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard elements[child].precedes(elements[parent]) else { return }
      elements.swapAt(child, parent)
      child = parent
    }
  }

  mutating func pop() -> Element? {
    guard let first = elements.first else { return nil }
    let last = elements.removeLast()
    if elements.isEmpty { return first }
    elements[0] = last
    var parent = 0
    while true {
      var child = parent * 2 + 1
      guard child < elements.count else { return first }
      if child + 1 < elements.count, elements[child + 1].precedes(elements[child]) { child += 1 }
      guard elements[child].precedes(elements[parent]) else { return first }
      elements.swapAt(child, parent)
      parent = child
    }
  }
}
