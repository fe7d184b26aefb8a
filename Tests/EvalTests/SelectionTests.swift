import OccamCore
import OccamEvalKit
import OccamPruning
import OccamTestSupport
import Testing

/// Rivals against their definitions, written down once more without any cleverness, and against NumPy.
@Suite struct SelectionTests {
  private static func golden(_ name: String) throws -> NumPyArray {
    try NumPyArray(path: "\(Locations.goldens)/selection/\(name).npy")
  }

  private func tokens(_ rows: Rows, scores: [Float]? = nil) -> EncodedTokens {
    EncodedTokens(count: rows.view.rows, scores: scores.map { TokenScores(scores: $0) }) { rows.view }
  }

  // MARK: DivPrune

  @Test(arguments: [1, 4, 16, 20]) func divPruneMatchesNumPy(count: Int) throws {
    let features = Rows(try Self.golden("features"))
    let kept = DivPruneSelector(settings: .plain(), count: count).behindEncoder(tokens(features)).kept
    #expect(kept == (try Self.golden("divprune-\(count)")).values.map { Int($0) })
  }

  @Test(arguments: [UInt64(1), 2, 3, 4, 5]) func divPruneIsGreedyMaxMin(seed: UInt64) {
    let rows = Rows(seed: seed, rows: 30, columns: 12)
    let similarity = cosineMatrix(rows.view)
    func distance(_ a: Int, _ b: Int) -> Float { 1 - similarity[a * 30 + b] }
    var chosen: [Int] = []
    for count in 1...30 {
      let rest = (0..<30).filter { !chosen.contains($0) }
      let others = chosen.isEmpty ? nil : chosen
      let best = rest.max { left, right in
        func nearest(_ token: Int) -> Float {
          (others ?? (0..<30).filter { $0 != token }).map { distance(token, $0) }.min() ?? 0
        }
        return nearest(left) < nearest(right)
      }
      if let best { chosen.append(best) }
      #expect(DivPruneSelector.choose(similarity, tokens: 30, count: count).kept == chosen.sorted())
    }
  }

  /// Two of three directions occur many times: three tokens must be one of each.
  @Test func divPruneTakesNoDuplicateBeforeEveryDirectionIsThere() {
    let axis: [[Float]] = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    let rows = Rows([0, 0, 0, 1, 1, 1, 1, 2].map { axis[$0] })
    let kept = DivPruneSelector(settings: .plain(), count: 3).behindEncoder(tokens(rows)).kept
    #expect(Set(kept.map { $0 < 3 ? 0 : $0 < 7 ? 1 : 2 }) == [0, 1, 2])
  }

  // MARK: CDPruner

  @Test(arguments: [1, 4, 16, 20]) func cdPrunerMatchesNumPy(count: Int) throws {
    let features = Rows(try Self.golden("features"))
    let text = try Self.golden("text")
    let selector = CDPrunerSelector(
      settings: .plain(), count: count, text: (0..<text.shape[0]).map { text.values(at: $0) })
    #expect(
      selector.behindEncoder(tokens(features)).kept == (try Self.golden("cdpruner-\(count)")).values.map { Int($0) })
  }

  @Test(arguments: [UInt64(1), 2, 3]) func cdPrunerMaximisesTheDeterminant(seed: UInt64) {
    let rows = Rows(seed: seed, rows: 16, columns: 12)
    let similarity = cosineMatrix(rows.view)
    var generator = SeededGenerator(seed: seed)
    let relevance = (0..<16).map { _ in 0.05 + 0.95 * generator.unitFloat() }
    var chosen: [Int] = []
    for count in 1...8 {
      let best = (0..<16).filter { !chosen.contains($0) }.max { left, right in
        determinant(chosen + [left], similarity, relevance) < determinant(chosen + [right], similarity, relevance)
      }
      if let best { chosen.append(best) }
      #expect(CDPrunerSelector.choose(similarity, relevance: relevance, count: count).kept == chosen.sorted())
    }
  }

  /// Gaussian elimination without pivots; kernels are positive.
  private func determinant(_ indices: [Int], _ similarity: [Float], _ relevance: [Float]) -> Double {
    var matrix = indices.map { row in
      indices.map { Double(relevance[row]) * Double(similarity[row * relevance.count + $0]) * Double(relevance[$0]) }
    }
    var result = 1.0
    for step in matrix.indices {
      result *= matrix[step][step]
      for row in (step + 1)..<max(matrix.count, step + 1) {
        let factor = matrix[row][step] / matrix[step][step]
        for column in step..<matrix.count { matrix[row][column] -= factor * matrix[step][column] }
      }
    }
    return result
  }

  @Test func cdPrunerPrefersWhatTheQuestionIsAbout() {
    let rows = Rows([[1, 0, 0], [0.9, 0.1, 0], [0, 1, 0], [0, 0, 1]])
    let about = CDPrunerSelector(settings: .plain(), count: 1, text: [[0, 0, 1]])
    #expect(about.behindEncoder(tokens(rows)).kept == [3])
    #expect(CDPrunerSelector(settings: .plain(), count: 1, text: [[0, 1, 0]]).behindEncoder(tokens(rows)).kept == [2])
  }

  /// More tokens than directions: the rest still fills the count.
  @Test func cdPrunerFillsTheCountWithDuplicates() {
    let rows = Rows(Array(repeating: [1, 2], count: 5) + Array(repeating: [2, -1], count: 5))
    let kept = CDPrunerSelector(settings: .plain(), count: 7, text: [[1, 1]]).behindEncoder(tokens(rows)).kept
    #expect(kept.count == 7 && Set(kept).count == 7)
    // Relevance that is the same everywhere is no information, not a division by zero.
    #expect(CDPrunerSelector.relevance(rows.view, text: []) == Array(repeating: 1, count: 10))
  }

  // MARK: Top-K

  @Test func largestTakesTiesByIndexAndNoNumberLast() {
    func kept(_ scores: [Float], _ count: Int) -> [Int] {
      let list: KeepList<TileTokens> = largest(scores, count: count)
      return list.kept
    }
    #expect(kept([1, 3, 2, 3], 2) == [1, 3])
    #expect(kept([2, 2, 2], 2) == [0, 1])
    #expect(kept([.nan, 0, -1], 2) == [1, 2])
    #expect(kept([5, 6], 9) == [0, 1])
    #expect(kept([5, 6], 0) == [1])
  }

  @Test func classAttentionKeepsTheLargestScores() {
    let rows = Rows(seed: 1, rows: 5, columns: 2)
    let selector = ClassAttentionSelector(settings: .plain(), count: 2)
    #expect(selector.behindEncoder(tokens(rows, scores: [0.1, 0.4, 0.2, 0.3, 0])).kept == [1, 3])
  }

  /// Of four keys the first is text, then three visual tokens; only the last row's attention counts.
  @Test func fastVRanksByTheLastTokensAttention() {
    let attention = Rows([[0, 0.9, 0.05, 0.05, 0], [0.1, 0.1, 0.3, 0.2, 0.3]])
    let span = VisualSpan(image: 0, columns: 1..<4, register: nil, firstRow: 0)
    let selector = FastVSelector(settings: .plain(), count: 2)
    let choice = selector.insideModel(rows: attention.view, spans: [span])
    #expect(choice.keep == [KeepList(kept: [1, 2], total: 3)])
    #expect(choice.scores.first?.scores == [0.1, 0.3, 0.2])
    #expect(selector.behindEncoder(tokens(Rows(seed: 1, rows: 3, columns: 2))).keepsEverything)
  }

  @Test func randomFollowsItsSeedAlone() {
    let rows = Rows(seed: 1, rows: 100, columns: 2)
    func kept(_ seed: UInt64, _ count: Int = 20) -> [Int] {
      RandomSelector(settings: .plain(), count: count, seed: seed).behindEncoder(tokens(rows)).kept
    }
    #expect(kept(1) == kept(1))
    #expect(kept(1) != kept(2))
    #expect(kept(1).count == 20 && kept(1, 500).count == 100)
    // Over many seeds every token has its turn: 20 of 100 in each of 200 draws.
    var counts = [Int](repeating: 0, count: 100)
    for seed in 0..<200 { for token in kept(UInt64(seed)) { counts[token] += 1 } }
    #expect(counts.allSatisfy { (10...75).contains($0) })
  }

  // MARK: Ablations

  @Test func meanThresholdIgnoresTheRegister() {
    let scores = TokenScores(scores: [0.1, 0.2, 0.3, 0.4], reference: 10, kind: .register)
    let encoded = EncodedTokens(count: 4, scores: scores) { Rows([[1]]).view }
    var settings = PruningSettings.plain()
    (settings.lambda1, settings.lambda2) = (1, 1)
    let mean = AblatedSelector(name: "mean", settings: settings, change: .meanThreshold(register: true))
    #expect(mean.behindEncoder(encoded).kept == [2, 3])
    // Visual keys 0...2, the register at key 3 takes almost all.
    let attention = Rows([[0.02, 0.05, 0.03, 0.9]])
    let span = VisualSpan(image: 0, columns: 0..<3, register: 3)
    #expect(mean.insideModel(rows: attention.view, spans: [span]).keep.first?.kept == [1])
    #expect(mean.register == settings.plan)
    #expect(AblatedSelector(name: "", settings: settings, change: .meanThreshold(register: false)).register == nil)
  }

  @Test func fixedCountsKeepAsManyEverywhere() {
    let fixed = AblatedSelector(
      name: "fixed", settings: .plain(), change: .fixedCounts(stageOne: 3, stageTwo: 2))
    let scores = TokenScores(scores: [0, 0.2, 0.9, 0.4, 0.1], reference: 0.1, kind: .register)
    #expect(fixed.behindEncoder(EncodedTokens(count: 5, scores: scores) { Rows([[1]]).view }).kept == [1, 2, 3])
    let attention = Rows([[0.2, 0.1, 0.4, 0.3]])
    let span = VisualSpan(image: 0, columns: 0..<3, register: 3)
    #expect(fixed.insideModel(rows: attention.view, spans: [span]).keep.first?.kept == [0, 2])
  }

  @Test func cosinesOfZeroAreZero() {
    let rows = Rows([[0, 0], [3, 4]])
    #expect(cosineMatrix(rows.view) == [0, 0, 0, 1])
  }
}
