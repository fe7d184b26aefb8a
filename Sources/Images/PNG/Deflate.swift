import OccamCore

/// Compresses to a raw deflate stream (RFC 1951): greedy matching over hash chains, dynamic Huffman codes.
func deflate(_ input: [UInt8]) -> [UInt8] {
  var writer = DeflateWriter()
  input.withUnsafeBufferPointer { data in
    var matcher = DeflateMatcher(data)
    var tokens: [UInt32] = []
    tokens.reserveCapacity(DeflateMatcher.blockTokens)
    repeat {
      tokens.removeAll(keepingCapacity: true)
      matcher.collect(into: &tokens)
      writer.block(tokens, last: matcher.finished)
    } while !matcher.finished
  }
  return writer.finish()
}

/// Finds repetitions. A token is a literal byte, or a match: 1 << 31 | length << 16 | distance - 1.
private struct DeflateMatcher {
  static let blockTokens = 1 << 15
  private static let windowMask = (1 << 15) - 1
  private static let longest = 258
  /// How many earlier places are tried for each match.
  private static let depth = 12

  private let data: UnsafeBufferPointer<UInt8>
  private var position = 0
  /// The latest place of each hash of four bytes, and for each place (modulo the window) the one before; -1 for none.
  private let heads = AlignedBuffer<Int>(copying: [Int](repeating: -1, count: 1 << 15))
  private let previous = AlignedBuffer<Int>(copying: [Int](repeating: -1, count: 1 << 15))

  init(_ data: UnsafeBufferPointer<UInt8>) { self.data = data }

  var finished: Bool { position == data.count }

  mutating func collect(into tokens: inout [UInt32]) {
    while position < data.count, tokens.count < Self.blockTokens {
      let (length, distance) = longestMatch()
      if length >= 4 {
        tokens.append(1 << 31 | UInt32(length) << 16 | UInt32(distance - 1))
        for _ in 0..<length { enter() }
      } else {
        tokens.append(UInt32(data[position]))
        enter()
      }
    }
  }

  /// Hash of the four bytes at the position; nil near the end.
  private func hash() -> Int? {
    guard position + 4 <= data.count, let base = data.baseAddress else { return nil }
    let word = UnsafeRawPointer(base + position).loadUnaligned(as: UInt32.self)
    return Int((word &* 2_654_435_761) >> 17)
  }

  private mutating func enter() {
    if let hash = hash() {
      previous.pointer[position & Self.windowMask] = heads.pointer[hash]
      heads.pointer[hash] = position
    }
    position += 1
  }

  private func longestMatch() -> (length: Int, distance: Int) {
    guard let hash = hash() else { return (0, 0) }
    let limit = min(Self.longest, data.count - position)
    var best = 3
    var bestDistance = 0
    var candidate = heads.pointer[hash]
    var tries = Self.depth
    while candidate >= 0, position - candidate <= Self.windowMask, tries > 0 {
      // A longer match must agree where the best one ended.
      if best == 3 || data[candidate + best] == data[position + best] {
        var length = 0
        while length < limit, data[candidate + length] == data[position + length] { length += 1 }
        if length > best {
          (best, bestDistance) = (length, position - candidate)
          if length == limit { break }
        }
      }
      let next = previous.pointer[candidate & Self.windowMask]
      guard next < candidate else { break }
      candidate = next
      tries -= 1
    }
    return bestDistance == 0 ? (0, 0) : (best, bestDistance)
  }
}

/// Writes blocks of tokens, each under Huffman codes made for it.
private struct DeflateWriter {
  private var output: [UInt8] = []
  private var bits: UInt64 = 0
  private var count = 0

  private mutating func put(_ value: Int, _ width: Int) {
    bits |= UInt64(value) << UInt64(count)
    count += width
    // `width` is at most 15: after this 16 bits fit.
    guard count >= 48 else { return }
    for _ in 0..<6 {
      output.append(UInt8(truncatingIfNeeded: bits))
      bits >>= 8
    }
    count -= 48
  }

  mutating func finish() -> [UInt8] {
    while count > 0 {
      output.append(UInt8(truncatingIfNeeded: bits))
      bits >>= 8
      count -= 8
    }
    return output
  }

  mutating func block(_ tokens: [UInt32], last: Bool) {
    var literalUses = [Int](repeating: 0, count: 286)
    var distanceUses = [Int](repeating: 0, count: 30)
    literalUses[256] = 1
    for token in tokens {
      if token >> 31 == 0 {
        literalUses[Int(token)] += 1
      } else {
        literalUses[DeflateSymbols.length[Int(token >> 16 & 0x1FF)]] += 1
        distanceUses[DeflateSymbols.distance(Int(token & 0x7FFF) + 1)] += 1
      }
    }
    let literals = HuffmanCode(uses: literalUses, maxLength: 15)
    let distances = HuffmanCode(uses: distanceUses, maxLength: 15)
    put(last ? 1 : 0, 1)
    put(2, 2)
    writeCodes(literals, distances)
    for token in tokens {
      if token >> 31 == 0 {
        put(literals.codes[Int(token)], literals.lengths[Int(token)])
        continue
      }
      let length = Int(token >> 16 & 0x1FF)
      let symbol = DeflateSymbols.length[length]
      put(literals.codes[symbol], literals.lengths[symbol])
      let (base, extra) = DeflateCodes.length(symbol)
      put(length - base, extra)
      let distance = Int(token & 0x7FFF) + 1
      let distanceSymbol = DeflateSymbols.distance(distance)
      put(distances.codes[distanceSymbol], distances.lengths[distanceSymbol])
      let (distanceBase, distanceExtra) = DeflateCodes.distance(distanceSymbol)
      put(distance - distanceBase, distanceExtra)
    }
    put(literals.codes[256], literals.lengths[256])
  }

  /// The code lengths, themselves Huffman coded, runs of zeros shortened.
  private mutating func writeCodes(_ literals: HuffmanCode, _ distances: HuffmanCode) {
    let all = literals.lengths + distances.lengths
    var items: [(symbol: Int, extra: Int, width: Int)] = []
    var index = 0
    while index < all.count {
      var run = 1
      while index + run < all.count, all[index + run] == all[index] { run += 1 }
      if all[index] == 0, run >= 3 {
        run = min(run, 138)
        items.append(run <= 10 ? (17, run - 3, 3) : (18, run - 11, 7))
        index += run
      } else {
        items.append((all[index], 0, 0))
        index += 1
      }
    }
    var uses = [Int](repeating: 0, count: 19)
    for item in items { uses[item.symbol] += 1 }
    let lengthCode = HuffmanCode(uses: uses, maxLength: 7)
    put(literals.lengths.count - 257, 5)
    put(distances.lengths.count - 1, 5)
    put(19 - 4, 4)
    for symbol in DeflateCodes.lengthOrder { put(lengthCode.lengths[symbol], 3) }
    for item in items {
      put(lengthCode.codes[item.symbol], lengthCode.lengths[item.symbol])
      put(item.extra, item.width)
    }
  }
}

/// The symbols of lengths and distances.
private enum DeflateSymbols {
  /// Indexed by length 3...258.
  static let length: [Int] = {
    var table = [Int](repeating: 0, count: 259)
    for symbol in 257...285 {
      let (base, extra) = DeflateCodes.length(symbol)
      for length in base..<min(base + 1 << extra, 259) { table[length] = symbol }
    }
    return table
  }()

  static func distance(_ distance: Int) -> Int {
    if distance <= 4 { return distance - 1 }
    let bits = Int.bitWidth - 1 - (distance - 1).leadingZeroBitCount
    return bits * 2 + (distance - 1) >> (bits - 1) & 1
  }
}

/// A length-limited Huffman code, codes already reversed for deflate's bit order.
private struct HuffmanCode {
  private(set) var lengths: [Int]
  private(set) var codes: [Int]

  init(uses: [Int], maxLength: Int) {
    lengths = Self.optimalLengths(uses, maxLength: maxLength)
    codes = [Int](repeating: 0, count: uses.count)
    var next = 0
    for length in 1...maxLength {
      for symbol in 0..<uses.count where lengths[symbol] == length {
        var reversed = 0
        for bit in 0..<length where next >> bit & 1 != 0 { reversed |= 1 << (length - 1 - bit) }
        codes[symbol] = reversed
        next += 1
      }
      next <<= 1
    }
  }

  /// Package-merge (Larmore and Hirschberg 1990): the best lengths under a limit.
  private static func optimalLengths(_ uses: [Int], maxLength: Int) -> [Int] {
    var lengths = [Int](repeating: 0, count: uses.count)
    var used = uses.indices.filter { uses[$0] > 0 }.sorted { uses[$0] < uses[$1] }
    // Decoders want at least one code, and two are never wrong.
    for symbol in uses.indices where used.count < 2 && !used.contains(symbol) { used.insert(symbol, at: 0) }
    // A package is a pair of packages or a single symbol: its weight, and for pairs the places in the list before.
    var levels: [[(weight: Int, symbol: Int)]] = []
    var previous: [(weight: Int, symbol: Int)] = []
    let singles = used.map { (weight: uses[$0], symbol: $0) }
    for _ in 0..<maxLength {
      let pairs = stride(from: 0, to: previous.count - 1, by: 2).map {
        (weight: previous[$0].weight + previous[$0 + 1].weight, symbol: -1)
      }
      var merged: [(weight: Int, symbol: Int)] = []
      var (i, j) = (0, 0)
      while i < singles.count || j < pairs.count {
        if j == pairs.count || i < singles.count && singles[i].weight <= pairs[j].weight {
          merged.append(singles[i])
          i += 1
        } else {
          merged.append(pairs[j])
          j += 1
        }
      }
      levels.append(merged)
      previous = merged
    }
    // From the last level take 2n - 2 packages; every pair taken asks for two more of the level before.
    var take = 2 * used.count - 2
    for level in levels.reversed() {
      var pairs = 0
      for package in level[..<min(take, level.count)] {
        if package.symbol >= 0 { lengths[package.symbol] += 1 } else { pairs += 1 }
      }
      take = 2 * pairs
    }
    return lengths
  }
}
