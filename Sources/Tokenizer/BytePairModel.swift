import OccamGGUF

/// BPE by merge ranks (`gpt2` and `gemma4` vocabularies): text is cut by the pre-tokeniser, and inside a stretch the
/// adjacent pair with the lowest rank merges first (ties: leftmost) until none is in the list.
struct BytePairModel: TokenizerModel {
  static let mergesKey = "tokenizer.ggml.merges"

  private let vocabulary: Vocabulary
  private let entry: PreTokenizerEntry
  private let preTokenizer: PreTokenizer
  private let merges: MergeTable
  /// For symbols that are no token: the token of each byte of their text.
  private let byteTokens: [Int32?]
  /// The symbol of each byte's character; for text in the byte alphabet.
  private let byteSymbols: [Int32]

  let addsSpacePrefix = false

  init(_ file: GGUFFile, _ vocabulary: Vocabulary, _ entry: PreTokenizerEntry) throws(TokenizerError) {
    let stored: GGUFStrings
    do {
      stored = try file.requireByteStrings(BytePairModel.mergesKey)
    } catch {
      throw TokenizerError(file.subject, .metadata(error))
    }
    let merges = MergeTable(stored, vocabulary)
    self.vocabulary = vocabulary
    self.entry = entry
    preTokenizer = PreTokenizer(stages: entry.stages)
    self.merges = merges
    byteSymbols = ByteAlphabet.characters.map { merges.symbol($0, vocabulary) }
    byteTokens = (0..<256).map { byte in
      // In the byte alphabet llama.cpp looks each byte of the character's UTF-8 up as it is.
      let id = vocabulary.id(entry.escapesSpaces ? Vocabulary.byteName(byte) : [UInt8(byte)])
      return id.map { Int32($0) }
    }
  }

  func encode(
    _ text: UnsafeBufferPointer<UInt8>, afterSpecial: Bool, mergesControl: Bool, into tokens: inout [Int32]
  ) {
    var merger = BytePairMerger(merges, mergesControl: mergesControl)
    guard entry.escapesSpaces else { return encode(text, &merger, into: &tokens) }
    SentencePieceModel.escaped(text, prefix: false).withUnsafeBufferPointer { encode($0, &merger, into: &tokens) }
  }

  private func encode(
    _ text: UnsafeBufferPointer<UInt8>, _ merger: inout BytePairMerger, into tokens: inout [Int32]
  ) {
    guard let scalars = ScalarClasses.scan(text) else {
      // A special token that is part of a character cut it in two.
      var repaired = String(decoding: text, as: UTF8.self)
      return repaired.withUTF8 { encode($0, &merger, into: &tokens) }
    }
    scalars.withUnsafeBufferPointer { scalars in
      var encoded: [UInt8] = []
      var (scalar, start) = (0, 0)
      for end in preTokenizer.cut(scalars) {
        var count = 0
        while scalar < end {
          count += scalars[scalar].width
          scalar += 1
        }
        encode(
          stretch: UnsafeBufferPointer(rebasing: text[start..<start + count]), &merger, &encoded, into: &tokens)
        start += count
      }
    }
  }

  private func encode(
    stretch: UnsafeBufferPointer<UInt8>, _ merger: inout BytePairMerger, _ encoded: inout [UInt8],
    into tokens: inout [Int32]
  ) {
    encoded.removeAll(keepingCapacity: true)
    if entry.escapesSpaces {
      encoded.append(contentsOf: stretch)
    } else {
      for byte in stretch { encoded.append(contentsOf: ByteAlphabet.characters[Int(byte)]) }
    }
    encoded.withUnsafeBufferPointer { encoded in
      let isWhole = entry.ignoresMerges || (entry.keepsNewlineRuns && stretch.allSatisfy { $0 == 10 })
      if isWhole, let id = vocabulary.id(encoded), merger.mergesControl || !vocabulary.isControl(id) {
        tokens.append(Int32(id))
        return
      }
      merger.begin()
      if entry.escapesSpaces {
        var start = 0
        while start < encoded.count {
          let count = min(SentencePieceModel.scalarLength(encoded[start]), encoded.count - start)
          let piece = UnsafeBufferPointer(rebasing: encoded[start..<start + count])
          merger.append(merges.symbol(piece, vocabulary), count: count)
          start += count
        }
      } else {
        for byte in stretch {
          merger.append(byteSymbols[Int(byte)], count: ByteAlphabet.characters[Int(byte)].count)
        }
      }
      merger.run()
      var start = 0
      merger.forEachSymbol { symbol, count in
        if symbol >= 0, symbol < vocabulary.count {
          tokens.append(symbol)
        } else {
          tokens.append(contentsOf: encoded[start..<start + count].compactMap { byteTokens[Int($0)] })
        }
        start += count
      }
    }
  }

  func bytes(of id: Int) -> [UInt8] {
    let text = vocabulary.texts.bytes(id)
    let attributes = vocabulary.attributes[id]
    if attributes.contains(.normal) {
      return entry.escapesSpaces ? SentencePieceModel.unescaped(text) : ByteAlphabet.decode(text)
    }
    return attributes.contains(.byte) ? Vocabulary.byte(named: text).map { [$0] } ?? [] : []
  }
}

/// Which pairs merge, in what order, and to what. Symbols are token ids; texts that occur in merges and are no tokens
/// have numbers behind these.
struct MergeTable: Sendable {
  struct Merge: Sendable {
    /// Place in the list: the lowest merges first.
    let rank: Int32
    let symbol: Int32
    let isControl: Bool
  }
  private var merges: [UInt64: Merge] = [:]
  private var others: [[UInt8]: Int32] = [:]

  /// - Parameter list: two texts and a space between them each; the space is the first one that does not begin the
  ///   entry. Of equal pairs the first counts.
  init(_ list: GGUFStrings, _ vocabulary: Vocabulary) {
    merges.reserveCapacity(list.count)
    for rank in list.indices {
      let text = list.bytes(rank)
      guard rank <= Int(Int32.max), let space = text.dropFirst().firstIndex(of: 32) else { continue }
      let left = intern(text[..<space], vocabulary)
      let right = intern(text[(space + 1)...], vocabulary)
      let key = MergeTable.key(left, right)
      guard merges[key] == nil else { continue }
      let joined = intern(text[..<space] + text[(space + 1)...], vocabulary)
      let isControl = Int(joined) < vocabulary.count && vocabulary.isControl(Int(joined))
      merges[key] = Merge(rank: Int32(rank), symbol: joined, isControl: isControl)
    }
  }

  private mutating func intern(_ text: ArraySlice<UInt8>, _ vocabulary: Vocabulary) -> Int32 {
    if let id = text.withUnsafeBufferPointer({ vocabulary.id($0) }) { return Int32(id) }
    let text = Array(text)
    if let symbol = others[text] { return symbol }
    // A file has fewer tokens and merges than 32 bits count: each costs it several bytes.
    let symbol = Int32(truncatingIfNeeded: vocabulary.count + others.count)
    others[text] = symbol
    return symbol
  }

  private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
  }

  func merge(_ left: Int32, _ right: Int32) -> Merge? { merges[MergeTable.key(left, right)] }

  /// The symbol of a text; -1 for one that neither is a token nor merges.
  func symbol(_ text: UnsafeBufferPointer<UInt8>, _ vocabulary: Vocabulary) -> Int32 {
    if let id = vocabulary.id(text) { return Int32(id) }
    return others.isEmpty ? -1 : others[Array(text)] ?? -1
  }

  func symbol(_ text: [UInt8], _ vocabulary: Vocabulary) -> Int32 {
    text.withUnsafeBufferPointer { symbol($0, vocabulary) }
  }
}

/// The merging of one stretch after the other, in the same memory.
struct BytePairMerger {
  private struct Symbol {
    var id: Int32
    /// Bytes of the text; 0 once merged away.
    var count: Int32
    /// Neighbours, -1 where there is none.
    var previous: Int32
    var next: Int32
  }

  private struct Pair: HeapOrdered {
    /// Rank, then place of the left symbol.
    let order: UInt64
    let merged: Int32
    /// Bytes of both symbols when the pair was found; a different sum later means that one of them has changed.
    let count: Int32

    init(_ merge: MergeTable.Merge, left: Int32, count: Int32) {
      order = UInt64(UInt32(bitPattern: merge.rank)) << 32 | UInt64(UInt32(bitPattern: left))
      merged = merge.symbol
      self.count = count
    }

    var left: Int { Int(order & 0xFFFF_FFFF) }

    func precedes(_ other: Pair) -> Bool { order < other.order }
  }

  private let merges: MergeTable
  let mergesControl: Bool
  private var symbols: [Symbol] = []
  private var queue = Heap<Pair>()

  init(_ merges: MergeTable, mergesControl: Bool) {
    self.merges = merges
    self.mergesControl = mergesControl
  }

  mutating func begin() { symbols.removeAll(keepingCapacity: true) }

  mutating func append(_ id: Int32, count: Int) {
    let index = Int32(truncatingIfNeeded: symbols.count)
    if index > 0 { symbols[Int(index) - 1].next = index }
    symbols.append(Symbol(id: id, count: Int32(truncatingIfNeeded: count), previous: index - 1, next: -1))
  }

  mutating func run() {
    for left in symbols.indices.dropLast() { propose(Int32(left)) }
    while let pair = queue.pop() {
      let left = symbols[pair.left]
      guard left.count > 0, left.next >= 0 else { continue }
      let right = symbols[Int(left.next)]
      guard left.count &+ right.count == pair.count else { continue }
      symbols[Int(left.next)].count = 0
      symbols[pair.left].id = pair.merged
      symbols[pair.left].count = pair.count
      symbols[pair.left].next = right.next
      if right.next >= 0 { symbols[Int(right.next)].previous = Int32(pair.left) }
      propose(left.previous)
      propose(Int32(pair.left))
    }
  }

  /// Puts the symbol and its right neighbour into the queue, if they merge.
  private mutating func propose(_ left: Int32) {
    guard left >= 0 else { return }
    let symbol = symbols[Int(left)]
    guard symbol.next >= 0, symbol.id >= 0 else { return }
    let right = symbols[Int(symbol.next)]
    guard right.id >= 0, let merge = merges.merge(symbol.id, right.id), mergesControl || !merge.isControl
    else { return }
    queue.push(Pair(merge, left: left, count: symbol.count &+ right.count))
  }

  /// What is left, from left to right: symbols and the bytes of their texts.
  func forEachSymbol(_ body: (Int32, Int) -> Void) {
    var index: Int32 = symbols.isEmpty ? -1 : 0
    while index >= 0 {
      let symbol = symbols[Int(index)]
      body(symbol.id, Int(symbol.count))
      index = symbol.next
    }
  }
}
