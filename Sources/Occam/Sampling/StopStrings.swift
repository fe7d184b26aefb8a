/// Finds stop strings in streamed text. Text passes at once but for an end that may begin a stop string.
///
/// The stop string that is complete first wins, of several that end together the longest; where the text is cut does
/// not depend on how it was divided into pieces.
package struct StopStrings: Sendable {
  private let stops: [[UInt8]]
  private var held: [UInt8] = []
  /// The stop string that was found.
  package private(set) var found: String?

  /// - Parameter stops: empty ones are ignored.
  package init(_ stops: [String]) {
    self.stops = stops.map { Array($0.utf8) }.filter { !$0.isEmpty }.sorted { $0.count > $1.count }
  }

  /// Takes the next piece and returns what may be shown: nothing more once a stop string was found.
  package mutating func push(_ piece: String) -> String {
    guard found == nil else { return "" }
    if stops.isEmpty { return piece }
    let seen = held.count
    held.append(contentsOf: piece.utf8)
    for end in held.indices.dropFirst(seen) {
      guard let stop = stops.first(where: { held[...end].ends(with: $0) }) else { continue }
      found = String(decoding: stop, as: UTF8.self)
      let shown = held[..<(end + 1 - stop.count)]
      held = []
      return String(decoding: shown, as: UTF8.self)
    }
    let kept = longestBeginning()
    let shown = held.dropLast(kept)
    let text = String(decoding: shown, as: UTF8.self)
    held.removeFirst(shown.count)
    return text
  }

  /// What was held back, when no more text comes.
  package mutating func finish() -> String {
    defer { held = [] }
    return String(decoding: held, as: UTF8.self)
  }

  /// Bytes at the end of the held text that begin a stop string.
  private func longestBeginning() -> Int {
    for count in stride(from: min(held.count, stops[0].count - 1), to: 0, by: -1)
    where stops.contains(where: { $0.count > count && held.suffix(count).elementsEqual($0[..<count]) }) {
      return count
    }
    return 0
  }
}

extension ArraySlice<UInt8> {
  fileprivate func ends(with other: [UInt8]) -> Bool {
    count >= other.count && suffix(other.count).elementsEqual(other)
  }
}
