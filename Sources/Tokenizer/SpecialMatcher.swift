/// A stretch of input: text for the tokenizer model, or a special token found in it.
enum Fragment: Equatable {
  case text(Range<Int>)
  case token(Int)
}

/// Finds special tokens in text as llama.cpp does (`tokenizer_st_partition`): one token after the other, longer texts
/// first, each from left to right in what the tokens before it left over.
struct SpecialMatcher: Sendable {
  private struct Entry: Sendable {
    let id: Int
    let text: [UInt8]
    /// Recognised only where the caller allows control tokens in text.
    let guarded: Bool
    let stripsRight: Bool
  }

  /// Longest first, then by id.
  private let entries: [Entry]
  private let trie: ByteTrie

  init(_ vocabulary: Vocabulary) {
    var entries: [Entry] = []
    for id in 0..<vocabulary.count {
      let attributes = vocabulary.attributes[id]
      guard !attributes.isDisjoint(with: [.control, .userDefined, .unknown]) else { continue }
      entries.append(
        Entry(
          id: id, text: Array(vocabulary.texts.bytes(id)),
          guarded: !attributes.isDisjoint(with: [.control, .unknown]),
          stripsRight: attributes.contains(.stripsRight)))
    }
    entries.sort { ($1.text.count, $0.id) < ($0.text.count, $1.id) }
    var trie = ByteTrie()
    for (rank, entry) in entries.enumerated() { trie.insert(entry.text, rank) }
    self.entries = entries
    self.trie = trie
  }

  /// - Parameter parseSpecial: also recognise control and unknown tokens; user-defined ones always are.
  func split(_ text: UnsafeBufferPointer<UInt8>, parseSpecial: Bool) -> [Fragment] {
    var fragments: [Fragment] = text.isEmpty ? [] : [.text(0..<text.count)]
    // One walk over the text tells which of perhaps thousands of tokens are worth looking for.
    for rank in trie.values(in: text).sorted() where parseSpecial || !entries[rank].guarded {
      fragments = fragments.flatMap { fragment -> [Fragment] in
        if case .text(let range) = fragment { return SpecialMatcher.split(text, range, entries[rank]) }
        return [fragment]
      }
    }
    return fragments
  }

  private static func split(_ text: UnsafeBufferPointer<UInt8>, _ range: Range<Int>, _ entry: Entry) -> [Fragment] {
    var result: [Fragment] = []
    var start = range.lowerBound
    var position = start
    let length = entry.text.count
    while range.upperBound - position >= length {
      guard text[position] == entry.text[0], text[position..<position + length].elementsEqual(entry.text) else {
        position += 1
        continue
      }
      if position > start { result.append(.text(start..<position)) }
      result.append(.token(entry.id))
      position += length
      if entry.stripsRight {
        while position < range.upperBound, isSpace(text[position]) { position += 1 }
      }
      start = position
    }
    if start < range.upperBound { result.append(.text(start..<range.upperBound)) }
    return result
  }

  /// C's `isspace`.
  private static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }
}

/// Byte strings by prefix.
struct ByteTrie: Sendable {
  private struct Node: Sendable {
    var children: [UInt8: Int] = [:]
    var value: Int?
  }
  private var nodes = [Node()]

  mutating func insert(_ key: [UInt8], _ value: Int) {
    var node = 0
    for byte in key {
      if let child = nodes[node].children[byte] {
        node = child
      } else {
        nodes.append(Node())
        nodes[node].children[byte] = nodes.count - 1
        node = nodes.count - 1
      }
    }
    nodes[node].value = value
  }

  /// The values of all keys that occur anywhere in the text.
  func values(in text: UnsafeBufferPointer<UInt8>) -> Set<Int> {
    var found = Set<Int>()
    var starts = [Int](repeating: 0, count: 256)
    for (byte, child) in nodes[0].children { starts[Int(byte)] = child }
    for start in text.indices {
      var node = starts[Int(text[start])]
      var position = start + 1
      while node != 0 {
        if let value = nodes[node].value { found.insert(value) }
        guard position < text.count, let child = nodes[node].children[text[position]] else { break }
        node = child
        position += 1
      }
    }
    return found
  }
}
