/// lambda2 -> mean |S2| per image at a fixed lambda1, measured on a calibration set.
package struct BudgetCurve: Sendable, Equatable {
  package struct Point: Sendable, Equatable {
    package let lambda: Float
    /// Mean number of visual tokens kept per image.
    package let kept: Double

    package init(lambda: Float, kept: Double) {
      self.lambda = lambda
      self.kept = kept
    }
  }

  /// Ascending in lambda, never ascending in `kept`.
  package let points: [Point]

  /// At a fixed lambda1 the count cannot grow with lambda2, so that any rise is noise: sorted by lambda (the last of
  /// equal lambdas stands) and pooled to the nearest non-increasing curve (isotonic regression, equal weights).
  package init(_ measured: [Point]) {
    var sorted: [Point] = []
    let usable = measured.enumerated().filter { $0.element.lambda.isFinite && $0.element.kept.isFinite }
    for (_, point) in usable.sorted(by: { ($0.element.lambda, $0.offset) < ($1.element.lambda, $1.offset) }) {
      if sorted.last?.lambda == point.lambda { sorted.removeLast() }
      sorted.append(point)
    }
    // Pool adjacent violators: blocks of (sum, length) with falling means.
    var blocks: [(sum: Double, length: Int)] = []
    for point in sorted {
      blocks.append((point.kept, 1))
      while blocks.count > 1 {
        let last = blocks[blocks.count - 1]
        let before = blocks[blocks.count - 2]
        guard last.sum / Double(last.length) > before.sum / Double(before.length) else { break }
        blocks.removeLast()
        blocks[blocks.count - 1] = (before.sum + last.sum, before.length + last.length)
      }
    }
    let smooth = blocks.flatMap { [Double](repeating: $0.sum / Double($0.length), count: $0.length) }
    points = zip(sorted, smooth).map { Point(lambda: $0.lambda, kept: $1) }
  }

  /// Measures the curve on Stage II scores of calibration samples, one set per sample; at least one token counts.
  package init(samples: [TokenScores], lambdas: [Float]) {
    self.init(
      lambdas.map { lambda in
        let kept = samples.reduce(0) { $0 + StageTwo.keep([$1], images: [0], lambda: lambda)[0].count }
        return Point(lambda: lambda, kept: Double(kept) / Double(max(samples.count, 1)))
      })
  }

  /// The lambda2 whose mean count is `budget`, linear between neighbouring points; a budget beyond the ends takes the
  /// nearest end. Where the curve is flat at the budget, the smallest lambda of the flat stretch. nil without points.
  package func lambda(forBudget budget: Double) -> (lambda: Float, clamped: Bool)? {
    guard let first = points.first, let last = points.last else { return nil }
    if budget > first.kept { return (first.lambda, true) }
    guard let index = points.firstIndex(where: { $0.kept <= budget }) else { return (last.lambda, true) }
    let upper = points[index]
    guard index > 0, upper.kept < budget else { return (upper.lambda, false) }
    let lower = points[index - 1]
    let part = Float((lower.kept - budget) / (lower.kept - upper.kept))
    return (lower.lambda + part * (upper.lambda - lower.lambda), false)
  }
}
