import OccamCore
import OccamPruning
import Testing

@Suite struct StageTests {
  static func view(_ rows: [[Float]]) -> (AlignedBuffer<Float>, MatrixView<Float>) {
    let buffer = AlignedBuffer(copying: rows.flatMap { $0 })
    return (buffer, MatrixView(buffer, rows: rows.count, columns: rows.first?.count ?? 0))
  }

  // MARK: Stage I

  @Test func stageOneKeepsScoresAtOrAboveTheThreshold() {
    let scores = TokenScores(scores: [0.25, 0.5, 0.125, 0.49], reference: 1, kind: .register)
    #expect(StageOne.keep(scores, lambda: 0.5) == KeepList(kept: [1], total: 4))
    #expect(StageOne.keep(scores, lambda: 0.25).kept == [0, 1, 3])
  }

  @Test func lambdaZeroKeepsEverythingWhateverTheScores() {
    let scores = TokenScores(scores: [0, .nan, 0.5, -1], reference: 3, kind: .register)
    #expect(StageOne.keep(scores, lambda: 0).keepsEverything)
    #expect(StageTwo.keep([scores], images: [0], lambda: 0)[0] == .everything(4))
  }

  @Test(arguments: [Float.nan, -1, .infinity, -.infinity]) func anUnusableReferencePrunesNothing(reference: Float) {
    let scores = TokenScores(scores: [0.1, 0.2], reference: reference, kind: .register)
    #expect(StageOne.keep(scores, lambda: 1).keepsEverything)
    #expect(StageTwo.keep([scores], images: [0], lambda: 1)[0].keepsEverything)
  }

  @Test func zeroReferenceKeepsTokensThatScoreAnything() {
    let scores = TokenScores(scores: [0, .nan, 0.5], reference: 0, kind: .register)
    #expect(StageOne.keep(scores, lambda: 1).kept == [0, 2])
  }

  @Test func oneTokenSurvivesEvenTheHighestThreshold() {
    let scores = TokenScores(scores: [0.1, 0.4, 0.4], reference: 1, kind: .register)
    #expect(StageOne.keep(scores, lambda: 100).kept == [1])
    #expect(StageOne.keep(TokenScores(scores: [.nan, .nan]), lambda: 1).count >= 1)
    let hopeless = TokenScores(scores: [.nan, .nan], reference: 1, kind: .register)
    #expect(StageOne.keep(hopeless, lambda: 1).kept == [0])
    #expect(StageOne.keep(TokenScores(scores: []), lambda: 1) == KeepList(kept: [], total: 0))
    #expect(StageOne.keep(scores, lambda: .infinity).kept == [1])
  }

  @Test func stageOneCapKeepsTheLargest() {
    let scores = TokenScores(scores: [0.3, .nan, 0.4, 0.3, 0.1], reference: 1, kind: .register)
    #expect(StageOne.keep(scores, lambda: 0, cap: 3).kept == [0, 2, 3])
    // Ties by the lower index; numbers before what is none.
    #expect(StageOne.keep(scores, lambda: 0, cap: 2).kept == [0, 2])
    #expect(StageOne.keep(scores, lambda: 0, cap: 4).kept == [0, 2, 3, 4])
    #expect(StageOne.keep(scores, lambda: 0, cap: 0).kept == [2])
    // The threshold comes first, and a cap above it changes nothing.
    #expect(StageOne.keep(scores, lambda: 0.35, cap: 3).kept == [2])
    #expect(StageOne.keep(scores, lambda: 0.2, cap: 9).kept == [0, 2, 3])
  }

  @Test func meanReference() {
    let scores = TokenScores(scores: [1, 2, 3, .nan, .infinity])
    #expect(scores.reference == 2)
    #expect(scores.kind == .mean)
    #expect(StageOne.keep(scores, lambda: 1).kept == [1, 2, 4])
  }

  @Test func clsRowAndColumnMeansAreReadAtTheRightKeys() {
    // Keys: CLS, three patches, register.
    let row: [Float] = [9, 1, 2, 3, 4]
    let scores = row.withUnsafeBufferPointer { TokenScores(row: $0, visual: 1..<4, register: 4) }
    #expect(scores == TokenScores(scores: [1, 2, 3], reference: 4, kind: .register))
    let (buffer, attention) = StageTests.view([
      [100, 100, 100, 100], [0, 2, 4, 6], [0, 4, 0, 2], [0, 6, 2, 10],
    ])
    let mutual = TokenScores(columnMeansOf: attention, visual: 1..<3, register: 3)
    #expect(mutual == TokenScores(scores: [4, 2], reference: 6, kind: .register))
    let noRegister = TokenScores(columnMeansOf: attention, visual: 1..<3, register: nil)
    #expect(noRegister == TokenScores(scores: [3, 2], reference: 2.5, kind: .mean))
    _ = buffer
  }

  @Test func mergedGroupsTakeTheMeanOfTheirPatches() {
    let scores = TokenScores(scores: [1, 3, 10, 20], reference: 7, kind: .register)
    #expect(scores.merged(groups: 2) { $0 / 2 } == TokenScores(scores: [2, 15], reference: 7, kind: .register))
    let mean = TokenScores(scores: [1, 3, 10, 20]).merged(groups: 2) { $0 % 2 }
    #expect(mean == TokenScores(scores: [5.5, 11.5], reference: 8.5, kind: .mean))
  }

  // MARK: Stage II

  @Test func visualScoreIsTheMaximumAndReferenceTheMeanOverTextRows() {
    // Keys: text, two visual tokens, register, text.
    let (buffer, rows) = StageTests.view([[9, 0.1, 0.5, 0.2, 9], [9, 0.3, 0.4, 0.4, 9]])
    let span = VisualSpan(image: 0, columns: 1..<3, register: 3)
    let scores = StageTwo.scores(rows: rows, spans: [span])[0]
    #expect(scores.scores == [0.3, 0.5])
    #expect(abs(scores.reference - 0.3) < 1e-7)
    #expect(StageTwo.keep(rows: rows, spans: [span], lambda: 1.2)[0].kept == [1])
    _ = buffer
  }

  @Test func rowsBeforeAnImageDoNotLowerItsReference() {
    let (buffer, rows) = StageTests.view([[0.5, 0.5, 0, 0], [0.25, 0.25, 0.3, 0.2], [0.25, 0.25, 0.1, 0.4]])
    let spans = [
      VisualSpan(image: 0, columns: 0..<1, register: 1), VisualSpan(image: 1, columns: 2..<3, register: 3, firstRow: 1),
    ]
    let scores = StageTwo.scores(rows: rows, spans: spans)
    #expect(abs(scores[0].reference - 1 / 3) < 1e-6)
    #expect(abs(scores[1].reference - 0.3) < 1e-6)
    #expect(scores[1].scores == [0.3])
    _ = buffer
  }

  @Test func withoutTextRowsNothingIsPruned() {
    let buffer = AlignedBuffer<Float>(count: 4)
    let rows = MatrixView(buffer, rows: 0, columns: 4)
    for register in [nil, 3] {
      let span = VisualSpan(image: 0, columns: 0..<3, register: register)
      #expect(StageTwo.keep(rows: rows, spans: [span], lambda: 0.9)[0].keepsEverything)
      #expect(StageTwo.keep(rows: rows, spans: [span], lambda: 0.9, cap: 2)[0].kept == [0, 1])
    }
  }

  @Test func notANumberNeverBecomesAScore() {
    let (buffer, rows) = StageTests.view([[.nan, 0.2, 0.1], [0.3, .nan, 0.1]])
    let scores = StageTwo.scores(rows: rows, spans: [VisualSpan(image: 0, columns: 0..<2, register: 2)])[0]
    #expect(scores.scores == [0.3, 0.2])
    _ = buffer
  }

  @Test func everyImageKeepsOneTokenAndTilesShareThatRight() {
    let low = TokenScores(scores: [0.1, 0.2], reference: 1, kind: .register)
    let lower = TokenScores(scores: [0.05], reference: 1, kind: .register)
    let kept = StageTwo.keep([low, lower, low], images: [0, 0, 7], lambda: 5)
    #expect(kept.map(\.kept) == [[1], [], [1]])
  }

  @Test func capTakesTheLargestRatioFirstThenTheLowerIndex() {
    // The second tile's scores are smaller but stand higher above their own register.
    let first = TokenScores(scores: [0.4, 0.8, 0.4, 0.6], reference: 0.4, kind: .register)
    let second = TokenScores(scores: [0.3, 0.1], reference: 0.1, kind: .register)
    let kept = StageTwo.keep([first, second], images: [0, 0], lambda: 0.5, cap: 4)
    #expect(kept.map(\.kept) == [[0, 1, 3], [0]])
    // A cap counts per image, and never below one.
    #expect(StageTwo.keep([first, second], images: [0, 1], lambda: 0.5, cap: 1).map(\.kept) == [[1], [0]])
    #expect(StageTwo.keep([first], images: [0], lambda: 0.5, cap: 0)[0].kept == [1])
    // Above the threshold's own count it changes nothing.
    #expect(StageTwo.keep([first], images: [0], lambda: 1.2, cap: 4)[0].kept == [1, 3])
  }

  @Test func raisingLambdaOnlyEverDropsTokens() {
    var generator = SeededGenerator(seed: 3)
    for _ in 0..<50 {
      let scores = TokenScores(
        scores: (0..<64).map { _ in generator.unitFloat() }, reference: generator.unitFloat(), kind: .register)
      var before = Set(0..<64)
      for lambda in stride(from: Float(0), through: 3, by: 0.25) {
        let kept = StageTwo.keep([scores], images: [0], lambda: lambda)[0]
        #expect(kept.count >= 1)
        #expect(Set(kept.kept).isSubset(of: before))
        before = Set(kept.kept)
      }
    }
  }

  @Test func sameInputsSameKeepSet() {
    var generator = SeededGenerator(seed: 9)
    let sets = (0..<5).map { _ in
      TokenScores(scores: (0..<100).map { _ in (generator.unitFloat() * 8).rounded() }, reference: 4, kind: .register)
    }
    let images = [3, 1, 1, 2, 3]
    let first = StageTwo.keep(sets, images: images, lambda: 0.7, cap: 40)
    for _ in 0..<20 { #expect(StageTwo.keep(sets, images: images, lambda: 0.7, cap: 40) == first) }
    #expect([first[1].count + first[2].count, first[0].count + first[4].count, first[3].count] == [40, 40, 40])
  }

  @Test func listsCompose() {
    let joined = KeepList<TileTokens>.joined([KeepList(kept: [1], total: 3), KeepList(kept: [0, 2], total: 4)])
    #expect(joined == KeepList(kept: [1, 3, 5], total: 7))
    let tile = EncodedTokens(count: 16, of: 160, scores: nil) { preconditionFailure("nobody asks") }
    #expect([tile.share(of: 40), tile.share(of: 3), tile.share(of: .max)] == [4, 1, .max])
    let one = KeepList<TileTokens>(kept: [2, 5, 7, 9], total: 10)
    #expect(one.narrowed(by: KeepList(kept: [0, 3], total: 4)) == KeepList(kept: [2, 9], total: 10))
    #expect(one.narrowed(by: .everything(4)) == one)
  }
}
