import OccamCore

/// Stage I, image-adaptive (paper, eqs. 4-6 and 10-13): at the encoder's output, before the projector. Each tile with
/// a softmax of its own is a set of its own.
package enum StageOne {
  /// S1 = { v : s1(v) >= lambda1 x s1(r) }; at least one token survives.
  /// - Parameter cap: the most tokens that survive, largest scores first, ties by the lower index; at least 1.
  package static func keep(_ scores: TokenScores, lambda: Float, cap: Int? = nil) -> KeepList<TileTokens> {
    var kept = threshold(scores, lambda: lambda)
    if let cap, kept.count > max(cap, 1) {
      kept.sort { left, right in
        let (a, b) = (scores.relative(left), scores.relative(right))
        return a != b ? a > b : left < right
      }
      kept = kept.prefix(max(cap, 1)).sorted()
    }
    if !kept.isEmpty || scores.scores.isEmpty { return KeepList(kept: kept, total: scores.scores.count) }
    return KeepList(kept: [strongest([scores])?.token ?? 0], total: scores.scores.count)
  }
}

/// The visual tokens of one image, or of one tile of it, among the keys of the language model's attention.
package struct VisualSpan: Sendable, Equatable {
  /// Tiles of one image share its number.
  package let image: Int
  /// Keys of the visual tokens, in token order; tiles of one image may lie row by row between each other.
  package let columns: [Int]
  /// Key of the span's register token; without one the mean of the visual scores is the reference.
  package let register: Int?
  /// The first score row of a text token behind the image: rows before it cannot see the image.
  package let firstRow: Int

  package init(image: Int, columns: some Sequence<Int>, register: Int?, firstRow: Int = 0) {
    self.image = image
    self.columns = Array(columns)
    self.register = register
    self.firstRow = firstRow
  }
}

/// Stage II, query-adaptive (paper, eqs. 7-8): once, inside the language model, at one layer.
package enum StageTwo {
  /// s2(v) = max over text rows of A[t -> v]; s2(r) = mean over text rows of A[t -> r].
  /// - Parameter rows: text rows x keys, the chosen layer's attention probabilities, mean over heads.
  package static func scores(rows: MatrixView<Float>, spans: [VisualSpan]) -> [TokenScores] {
    spans.map { span in
      precondition(
        span.columns.allSatisfy { $0 >= 0 && $0 < rows.columns } && span.firstRow >= 0
          && (span.register ?? 0) >= 0 && (span.register ?? -1) < rows.columns, "StageTwo: key out of range")
      var best = [Float](repeating: 0, count: span.columns.count)
      var registerSum = 0.0
      let seeing = min(span.firstRow, rows.rows)..<rows.rows
      for row in seeing {
        let values = rows.row(row)
        // A value that is not a number loses every comparison, so it never becomes a score.
        for (token, column) in span.columns.enumerated() where values[column] > best[token] {
          best[token] = values[column]
        }
        if let register = span.register { registerSum += Double(rows.row(row)[register]) }
      }
      guard span.register != nil else { return TokenScores(scores: best) }
      let reference = Float(registerSum / Double(max(seeing.count, 1)))
      return TokenScores(scores: best, reference: reference, kind: .register)
    }
  }

  /// S2 = { v in S1 : s2(v) >= lambda2 x s2(r) }, one list per set of scores.
  /// - Parameters:
  ///   - images: the image of each set of scores; at least one token per image survives.
  ///   - cap: the most visual tokens an image may keep (registers not counted), largest s2(v)/s2(r) first, ties by
  ///     the lower index; at least 1.
  package static func keep(
    _ scores: [TokenScores], images: [Int], lambda: Float, cap: Int? = nil
  ) -> [KeepList<StageOneTokens>] {
    precondition(scores.count == images.count, "StageTwo: one image number per set of scores")
    var kept = scores.map { threshold($0, lambda: lambda) }
    for image in Set(images) {
      let members = images.indices.filter { images[$0] == image }
      let total = members.reduce(0) { $0 + kept[$1].count }
      if total == 0, let best = strongest(members.map { scores[$0] }) {
        kept[members[best.set]] = [best.token]
      } else if let cap, total > max(cap, 1) {
        limit(&kept, members, scores, to: max(cap, 1))
      }
    }
    return zip(kept, scores).map { KeepList(kept: $0, total: $1.scores.count) }
  }

  /// Both steps.
  package static func keep(
    rows: MatrixView<Float>, spans: [VisualSpan], lambda: Float, cap: Int? = nil
  ) -> [KeepList<StageOneTokens>] {
    keep(scores(rows: rows, spans: spans), images: spans.map(\.image), lambda: lambda, cap: cap)
  }

  private static func limit(_ kept: inout [[Int]], _ members: [Int], _ scores: [TokenScores], to cap: Int) {
    var ranked = members.flatMap { set in
      kept[set].map { (relative: scores[set].relative($0), set: set, token: $0) }
    }
    ranked.sort { left, right in
      left.relative != right.relative
        ? left.relative > right.relative : (left.set, left.token) < (right.set, right.token)
    }
    for set in members { kept[set] = [] }
    for entry in ranked.prefix(cap) { kept[entry.set].append(entry.token) }
    for set in members { kept[set].sort() }
  }
}

/// Tokens at or above lambda x reference. Lambda 0 keeps all; so does a reference that is no number, negative or
/// infinite: without a usable reference nothing is pruned rather than something guessed.
private func threshold(_ scores: TokenScores, lambda: Float) -> [Int] {
  guard lambda > 0, scores.reference >= 0, scores.reference.isFinite else { return Array(scores.scores.indices) }
  let bound = lambda * scores.reference
  // An infinite lambda times a zero reference is no number; nothing reaches it, and the best token survives.
  return scores.scores.indices.filter { scores.scores[$0] >= bound }
}

/// The token with the largest score over reference; the first of equals; nil when there is no token at all.
private func strongest(_ sets: [TokenScores]) -> (set: Int, token: Int)? {
  var best: (set: Int, token: Int)?
  var value = -Float.infinity
  for (index, set) in sets.enumerated() {
    for token in set.scores.indices {
      let relative = set.relative(token)
      if best == nil || relative > value {
        best = (index, token)
        value = relative
      }
    }
  }
  return best
}
