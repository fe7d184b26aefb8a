/// Which tokens may come next.
package final class TokenMask: Sendable {
  /// One bit a token, the lowest first.
  package let words: [UInt64]
  /// Nothing may come next, not even an end.
  package let isEmpty: Bool

  init(words: [UInt64]) {
    self.words = words
    isEmpty = words.allSatisfy { $0 == 0 }
  }

  package func allows(_ id: Int32) -> Bool {
    guard id >= 0, Int(id) >> 6 < words.count else { return false }
    return words[Int(id) >> 6] >> UInt64(id & 63) & 1 != 0
  }

  /// Logits of all other tokens, and of those that the vocabulary does not name, become minus infinity.
  package func apply(to logits: UnsafeMutableBufferPointer<Float>) {
    words.withUnsafeBufferPointer { words in
      for start in stride(from: 0, to: logits.count, by: 64) {
        let word = start >> 6 < words.count ? words[start >> 6] : 0
        if word == .max { continue }
        let end = min(start + 64, logits.count)
        if word == 0 {
          for id in start..<end { logits[id] = -.infinity }
        } else {
          for id in start..<end where word >> UInt64(id - start) & 1 == 0 { logits[id] = -.infinity }
        }
      }
    }
  }
}
