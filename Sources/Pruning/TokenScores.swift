import OccamCore

/// What a token's score is held against.
package enum ReferenceKind: String, Sendable, Equatable, CaseIterable {
  /// The register token's own score: the encoder is calibrated (paper, eqs. 6 and 8).
  case register
  /// The mean score of the visual tokens: the fallback for an encoder without register neurons.
  case mean
}

/// What stage I reads of an encoder's last layer.
package enum StageOneScore: String, Sendable, Equatable, CaseIterable {
  /// The class token's attention, or without one the mean over all patches' attention (paper, eqs. 4 and 5).
  case attention
  /// The length of a patch's key, mean over heads: in some encoders without a class token it tells more.
  case keyNorm = "key-norm"
}

/// The scores of one set of visual tokens that compete in one softmax, and the reference of their threshold.
package struct TokenScores: Sendable, Equatable {
  /// One score per visual token, in token order; attention probabilities or means of them.
  package var scores: [Float]
  package var reference: Float
  package var kind: ReferenceKind

  package init(scores: [Float], reference: Float, kind: ReferenceKind) {
    self.scores = scores
    self.reference = reference
    self.kind = kind
  }

  /// Scores held against their own mean.
  package init(scores: [Float]) {
    self.init(scores: scores, reference: TokenScores.mean(scores), kind: .mean)
  }

  /// - Parameters:
  ///   - row: 1 x keys: a CLS row (eq. 4), or column means an encoder summed up itself (eq. 5).
  ///   - visual: the keys that are visual tokens.
  ///   - register: the register's key; without one the mean of the visual scores is the reference.
  package init(row: UnsafeBufferPointer<Float>, visual: Range<Int>, register: Int?) {
    precondition(
      visual.lowerBound >= 0 && visual.upperBound <= row.count && (register ?? 0) >= 0
        && (register ?? -1) < row.count, "TokenScores: key out of range")
    let scores = Array(row[visual])
    if let register {
      self.init(scores: scores, reference: row[register], kind: .register)
    } else {
      self.init(scores: scores)
    }
  }

  /// Mutual scoring of encoders without CLS (eq. 5): column means of the attention of `visual` and register rows.
  /// - Parameter attention: keys x keys, mean over heads.
  package init(columnMeansOf attention: MatrixView<Float>, visual: Range<Int>, register: Int?) {
    precondition(
      visual.upperBound <= attention.rows && (register ?? -1) < attention.rows, "TokenScores: row out of range")
    var sums = [Double](repeating: 0, count: attention.columns)
    let rows = Array(visual) + (register.map { [$0] } ?? [])
    for row in rows {
      let values = attention.row(row)
      for column in 0..<attention.columns { sums[column] += Double(values[column]) }
    }
    let means = sums.map { Float($0 / Double(max(rows.count, 1))) }
    self = means.withUnsafeBufferPointer { TokenScores(row: $0, visual: visual, register: register) }
  }

  /// The scores of one image's tiles as one set, each held against its own reference: what is left is that of 1.
  package static func joined(_ tiles: [TokenScores]) -> TokenScores? {
    guard let first = tiles.first, tiles.count > 1 else { return tiles.first }
    return TokenScores(
      scores: tiles.flatMap { tile in tile.scores.indices.map { tile.relative($0) } }, reference: 1, kind: first.kind)
  }

  /// The scores of merged groups (2x2 merging, pixel shuffle, pooling): each the mean of its patches.
  /// - Parameter group: the group of each patch, 0..<groups; a group without patches scores 0.
  package func merged(groups: Int, group: (_ patch: Int) -> Int) -> TokenScores {
    var sums = [Double](repeating: 0, count: groups)
    var counts = [Int](repeating: 0, count: groups)
    for (patch, score) in scores.enumerated() {
      let index = group(patch)
      precondition(index >= 0 && index < groups, "TokenScores: group out of range")
      sums[index] += Double(score)
      counts[index] += 1
    }
    let means = zip(sums, counts).map { Float($0 / Double(max($1, 1))) }
    return kind == .mean ? TokenScores(scores: means) : TokenScores(scores: means, reference: reference, kind: kind)
  }

  /// Score over reference: what lambda is compared with, and the order of the hard cap. A reference that cannot divide
  /// leaves the score itself; a score that is not a number ranks below every other.
  package func relative(_ token: Int) -> Float {
    let score = scores[token]
    guard !score.isNaN else { return -.infinity }
    return reference.isFinite && reference > 0 ? score / reference : score
  }

  /// Mean of the scores that are finite; 0 without any.
  private static func mean(_ scores: [Float]) -> Float {
    var sum = 0.0
    var count = 0
    for score in scores where score.isFinite {
      sum += Double(score)
      count += 1
    }
    return Float(sum / Double(max(count, 1)))
  }
}
