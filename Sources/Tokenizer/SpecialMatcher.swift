/// A stretch of input: text for the tokenizer model, or a special token found in it.
enum Fragment: Equatable {
  case text(Range<Int>)
  case token(Int)
}

/// Finds special tokens in text as llama.cpp does (`tokenizer_st_partition`): one token after the other, longer texts
/// first, each from left to right in what the tokens before it left over.
struct SpecialMatcher: Sendable {
  /// Where the texts of control tokens mean these tokens.
  enum Scope {
    case everywhere
    case nowhere
    /// Only inside one of these byte ranges, which are in order and do not touch. Everywhere else whatever the file
    /// calls a control token stays text, and so do the tokens of these ids.
    case ranges([Range<Int>], protected: Set<Int>)

    /// Whether text that spells a control token may merge into it.
    var mergesControl: Bool { if case .ranges = self { false } else { true } }
  }

  private struct Entry: Sendable {
    let id: Int
    let text: [UInt8]
    let attributes: TokenAttributes
  }

  /// Longest first, then by id: the order in which tokens are looked for. An entry's place is its rank.
  private let entries: [Entry]
  /// Ranks in the order of their texts' bytes.
  private let sorted: [Int]
  /// Where the texts that begin with each byte begin in `sorted`.
  private let starts: [Int]

  init(_ vocabulary: Vocabulary) {
    var entries: [Entry] = []
    for id in 0..<vocabulary.count {
      let attributes = vocabulary.attributes[id]
      guard !attributes.isDisjoint(with: [.control, .userDefined, .unknown]) else { continue }
      entries.append(Entry(id: id, text: Array(vocabulary.texts.bytes(id)), attributes: attributes))
    }
    entries.sort { ($1.text.count, $0.id) < ($0.text.count, $1.id) }
    let sorted = entries.indices.sorted {
      entries[$0].text == entries[$1].text ? $0 < $1 : entries[$0].text.lexicographicallyPrecedes(entries[$1].text)
    }
    var starts = [Int](repeating: 0, count: 257)
    for rank in sorted { starts[Int(entries[rank].text[0]) + 1] += 1 }
    for byte in 0..<256 { starts[byte + 1] += starts[byte] }
    self.entries = entries
    self.sorted = sorted
    self.starts = starts
  }

  /// A token's text that occurs at `start`.
  private struct Candidate: HeapOrdered {
    let rank: Int
    let start: Int

    func precedes(_ other: Candidate) -> Bool { (rank, start) < (other.rank, other.start) }
  }

  func split(_ text: UnsafeBufferPointer<UInt8>, scope: Scope) -> [Fragment] {
    // At each place the longest token comes first in rank, so that shorter ones wait until it has turned out not to
    // fit. Then the queue hands out occurrences in the order in which a search token by token meets them.
    var queue = Heap<Candidate>()
    for start in text.indices {
      if let rank = longest(in: text, at: start, below: .max, scope) { queue.push(Candidate(rank: rank, start: start)) }
    }
    guard !queue.isEmpty else { return text.isEmpty ? [] : [.text(0..<text.count)] }
    var taken = [Bool](repeating: false, count: text.count)
    var found: [(range: Range<Int>, id: Int)] = []
    while let candidate = queue.pop() {
      let entry = entries[candidate.rank]
      var (start, end) = (candidate.start, candidate.start + entry.text.count)
      if taken[start] { continue }
      if taken[start..<end].contains(true) {
        if let rank = longest(in: text, at: start, below: entry.text.count, scope) {
          queue.push(Candidate(rank: rank, start: start))
        }
        continue
      }
      if entry.attributes.contains(.stripsRight) {
        while end < text.count, !taken[end], SpecialMatcher.isSpace(text[end]) { end += 1 }
      }
      if entry.attributes.contains(.stripsLeft) {
        while start > 0, !taken[start - 1], SpecialMatcher.isSpace(text[start - 1]) { start -= 1 }
      }
      for index in start..<end { taken[index] = true }
      found.append((start..<end, entry.id))
    }
    found.sort { $0.range.lowerBound < $1.range.lowerBound }
    var fragments: [Fragment] = []
    var position = 0
    for (range, id) in found {
      if position < range.lowerBound { fragments.append(.text(position..<range.lowerBound)) }
      fragments.append(.token(id))
      position = range.upperBound
    }
    if position < text.count { fragments.append(.text(position..<text.count)) }
    return fragments
  }

  /// The rank of the longest token, shorter than `limit`, whose text stands at `start`.
  private func longest(
    in text: UnsafeBufferPointer<UInt8>, at start: Int, below limit: Int, _ scope: Scope
  ) -> Int? {
    var (low, high) = (starts[Int(text[start])], starts[Int(text[start]) + 1])
    var best: Int?
    var length = 1
    while low < high, length < limit {
      // The shortest text of those that begin alike stands first; an equal one behind it has no part.
      if entries[sorted[low]].text.count == length {
        if allows(entries[sorted[low]], start..<start + length, scope) { best = sorted[low] }
        while low < high, entries[sorted[low]].text.count == length { low += 1 }
      }
      guard start + length < text.count else { break }
      let byte = text[start + length]
      low = firstIndex(low, high) { $0[length] >= byte }
      high = firstIndex(low, high) { $0[length] > byte }
      length += 1
    }
    return best
  }

  /// The first of the sorted texts in `low..<high` for which the condition holds, as it does for all behind it.
  private func firstIndex(_ low: Int, _ high: Int, where condition: ([UInt8]) -> Bool) -> Int {
    var (low, high) = (low, high)
    while low < high {
      let middle = (low + high) / 2
      if condition(entries[sorted[middle]].text) { high = middle } else { low = middle + 1 }
    }
    return low
  }

  private func allows(_ entry: Entry, _ place: Range<Int>, _ scope: Scope) -> Bool {
    let isControl = !entry.attributes.isDisjoint(with: [.control, .unknown])
    switch scope {
    case .everywhere: return true
    case .nowhere: return !isControl
    case .ranges(let ranges, let protected):
      guard isControl || entry.attributes.contains(.neverTyped) || protected.contains(entry.id) else { return true }
      var (low, high) = (0, ranges.count)
      while low < high {
        let middle = (low + high) / 2
        if ranges[middle].upperBound >= place.upperBound { high = middle } else { low = middle + 1 }
      }
      return low < ranges.count && ranges[low].lowerBound <= place.lowerBound
    }
  }

  /// C's `isspace`.
  private static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }
}
