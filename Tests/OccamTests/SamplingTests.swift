import Glibc
import Occam
import OccamCore
import Testing

@Suite struct SamplingTests {
  static func options(_ change: (inout SamplingOptions) -> Void) -> SamplingOptions {
    var options = SamplingOptions()
    (options.temperature, options.topK, options.topP, options.minP) = (1, 0, 1, 0)
    change(&options)
    return options
  }

  /// How often each token is drawn.
  static func counts(_ logits: [Float], _ draws: Int = 20_000, _ change: (inout SamplingOptions) -> Void) -> [Int] {
    var sampler = Sampler(options(change))
    var counts = [Int](repeating: 0, count: logits.count)
    for _ in 0..<draws { counts[Int(logits.withUnsafeBufferPointer { sampler.sample($0) })] += 1 }
    return counts
  }

  static func drawn(_ logits: [Float], _ change: (inout SamplingOptions) -> Void) -> [Int] {
    counts(logits, 5_000, change).enumerated().filter { $0.element > 0 }.map(\.offset)
  }

  static func greedy(_ logits: [Float], _ sampler: inout Sampler) -> Int32 {
    logits.withUnsafeBufferPointer { sampler.sample($0) }
  }

  @Test func greedyTakesTheLargestAndTheLowestOfEquals() {
    var sampler = Sampler(.greedy)
    #expect(SamplingTests.greedy([1, 3, 2, 3], &sampler) == 1)
    #expect(SamplingTests.greedy([-5], &sampler) == 0)
    #expect(SamplingTests.greedy([.nan, -1, .nan], &sampler) == 1)
    #expect(SamplingTests.greedy([.nan, .nan], &sampler) == 0)
    #expect(SamplingTests.greedy([1, .infinity, -.infinity], &sampler) == 1)
  }

  @Test func drawsAreRecordedWithTheirProbabilities() {
    var sampler = Sampler(SamplingTests.options { ($0.topK, $0.temperature) = (3, 2) })
    let logits: [Float] = [0, 2, 4, -1]
    _ = SamplingTests.greedy(logits, &sampler)
    #expect(sampler.draws.isEmpty)
    sampler.recordsDraws = true
    let id = SamplingTests.greedy(logits, &sampler)
    #expect(sampler.draws.map(\.id) == [2, 1, 0])
    let sum = 1 + exp(-1.0) + exp(-2.0)
    for (draw, weight) in zip(sampler.draws, [1, exp(-1.0), exp(-2.0)]) {
      #expect(abs(exp(Double(draw.logProbability)) - weight / sum) < 1e-6)
    }
    let reported = LogProbabilities(drawnFrom: sampler.draws, chosen: id, top: 2)
    #expect(reported.top.map(\.id) == [2, 1])
    #expect(reported.chosen == sampler.draws.first { $0.id == id }?.logProbability)
  }

  @Test func drawsFollowTheSoftmaxAndTheTemperature() {
    let probabilities = [0.5, 0.3, 0.15, 0.05]
    let logits = probabilities.map { Float(log($0)) + 7 }
    for temperature in [Float(1), 0.5, 2] {
      let weights = probabilities.map { pow($0, 1 / Double(temperature)) }
      let counts = SamplingTests.counts(logits) { $0.temperature = temperature }
      for (count, weight) in zip(counts, weights) {
        // Five standard deviations of a binomial count.
        let expected = weight / weights.reduce(0, +)
        #expect(abs(Double(count) / 20_000 - expected) < 5 * (expected * (1 - expected) / 20_000).squareRoot())
      }
    }
  }

  @Test func topKKeepsTheLargest() {
    #expect(SamplingTests.drawn([1, 1.5, 0.5, 1.2, 1.4]) { $0.topK = 2 } == [1, 4])
    #expect(SamplingTests.drawn([1, 1, 1, 1]) { $0.topK = 2 } == [0, 1])
    #expect(SamplingTests.drawn([1, 1, 1]) { $0.topK = 99 } == [0, 1, 2])
    #expect(SamplingTests.drawn([1, 1, 1]) { $0.topK = -1 } == [0, 1, 2])
  }

  @Test func topPKeepsTheFewestThatReachTheSum() {
    let logits = [0.15, 0.5, 0.05, 0.3].map { Float(log($0)) }
    #expect(SamplingTests.drawn(logits) { $0.topP = 0.49 } == [1])
    #expect(SamplingTests.drawn(logits) { $0.topP = 0.79 } == [1, 3])
    #expect(SamplingTests.drawn(logits) { $0.topP = 0.81 } == [0, 1, 3])
    #expect(SamplingTests.drawn(logits) { $0.topP = 0 } == [1])
    // After top-k the probabilities are those of its survivors: 0.5 / 0.8 is enough.
    #expect(SamplingTests.drawn(logits) { ($0.topK, $0.topP) = (2, 0.6) } == [1])
    // A flat distribution needs more candidates than are sorted at first.
    let flat = [Float](repeating: 0, count: 3000)
    #expect(SamplingTests.drawn(flat) { $0.topP = 0.5 }.allSatisfy { $0 < 1500 })
    #expect(SamplingTests.drawn(flat) { $0.topP = 0.5 }.contains { $0 > 1000 })
  }

  @Test func minPKeepsAFractionOfTheLargest() {
    let logits = [0.15, 0.5, 0.04, 0.31].map { Float(log($0)) }
    #expect(SamplingTests.drawn(logits) { $0.minP = 0.29 } == [0, 1, 3])
    #expect(SamplingTests.drawn(logits) { $0.minP = 0.31 } == [1, 3])
    #expect(SamplingTests.drawn(logits) { $0.minP = 1 } == [1])
    #expect(SamplingTests.drawn(logits) { $0.minP = 3 } == [1])
    // Temperature comes after it: the same tokens survive, however hot.
    #expect(SamplingTests.drawn(logits) { ($0.minP, $0.temperature) = (0.31, 50) } == [1, 3])
  }

  @Test func repeatPenaltyDividesPositiveAndMultipliesOtherLogits() {
    var options = SamplingOptions.greedy
    (options.repeatPenalty, options.repeatLastN) = (2, 2)
    var sampler = Sampler(options)
    let logits: [Float] = [4, 3, -1, -1.5]
    #expect(SamplingTests.greedy(logits, &sampler) == 0)
    sampler.accept(0)
    #expect(SamplingTests.greedy(logits, &sampler) == 1)
    sampler.accept(0)
    sampler.accept(1)
    // 2, 1.5: once each, however often a token came.
    #expect(SamplingTests.greedy(logits, &sampler) == 0)
    #expect(SamplingTests.greedy([4, 3, 1.9, -1], &sampler) == 0)
    #expect(SamplingTests.greedy([4, 3, 2.1, -1], &sampler) == 2)
    // The window forgets: only 1 and 7 are recent now; 7 is outside the logits.
    sampler.accept(7)
    sampler.accept(-3)
    #expect(SamplingTests.greedy([2.9, 3, 0, 0], &sampler) == 1)
    sampler.accept(2)
    #expect(SamplingTests.greedy([-4, -4.1, -2.1, -5], &sampler) == 0)
  }

  @Test func theSameSeedGivesTheSameTokens() {
    var generator = SeededGenerator(seed: 2)
    let steps = (0..<200).map { _ in (0..<500).map { _ in generator.normal() * 3 } }
    func run(_ seed: UInt64) -> [Int32] {
      var options = SamplingOptions()
      (options.seed, options.repeatPenalty) = (seed, 1.1)
      var sampler = Sampler(options)
      return steps.map { logits in
        let token = logits.withUnsafeBufferPointer { sampler.sample($0) }
        sampler.accept(token)
        return token
      }
    }
    #expect(run(5) == run(5))
    #expect(run(5) != run(6))
  }

  @Test func wildLogitsAndOptionsNeverTrap() {
    let wild: [[Float]] = [
      [.nan], [.nan, .nan], [-.infinity, -.infinity], [.infinity, .infinity], [.greatestFiniteMagnitude, -.infinity],
      [-.greatestFiniteMagnitude, .greatestFiniteMagnitude, .nan],
    ]
    for logits in wild {
      for value in [Float.nan, -1, 0, .leastNonzeroMagnitude, 0.5, 1, 2, .infinity] {
        let drawn = SamplingTests.counts(logits, 20) {
          ($0.temperature, $0.topP, $0.minP, $0.repeatPenalty) = (value, value, value, value)
        }
        #expect(drawn.reduce(0, +) == 20)
      }
    }
    #expect(SamplingTests.drawn([0, .nan, 0]) { _ in } == [0, 2])
    #expect(SamplingTests.drawn([0, .infinity, 0]) { $0.temperature = 2 } == [1])
  }

  // MARK: Log-probabilities

  @Test func logProbabilitiesAreTheLogSoftmax() {
    let logits: [Float] = [2, -1, 3, 2, .nan]
    let result = logits.withUnsafeBufferPointer { LogProbabilities($0, chosen: 3, top: 3) }
    let sum = log(exp(2.0) + exp(-1.0) + exp(3.0) + exp(2.0))
    #expect(abs(Double(result.chosen) - (2 - sum)) < 1e-6)
    #expect(result.top.map(\.id) == [2, 0, 3])
    #expect(abs(Double(result.top[0].logProbability) - (3 - sum)) < 1e-6)
    #expect(logits.withUnsafeBufferPointer { LogProbabilities($0, chosen: 4, top: 9) }.chosen == -.infinity)
    #expect(logits.withUnsafeBufferPointer { LogProbabilities($0, chosen: 99, top: 9) }.top.count == 5)
    #expect(logits.withUnsafeBufferPointer { LogProbabilities($0, chosen: -1, top: -1) }.top.isEmpty)
    let none: [Float] = [.nan]
    #expect(none.withUnsafeBufferPointer { LogProbabilities($0, chosen: 0, top: 1) }.chosen == -.infinity)
  }

  @Test func topListEqualsAFullSort() {
    var generator = SeededGenerator(seed: 8)
    for count in [1, 2, 7, 100, 1000] {
      let logits = (0..<count).map { _ in (generator.normal() * 4).rounded() }
      let sorted = logits.indices.sorted { (logits[$1], $0) < (logits[$0], $1) }
      for top in [1, 3, 50, 2000] {
        let result = logits.withUnsafeBufferPointer { LogProbabilities($0, chosen: 0, top: top) }
        #expect(result.top.map { Int($0.id) } == Array(sorted.prefix(top)))
      }
    }
  }
}

@Suite struct SamplingPenaltyTests {
  private static func sample(_ logits: [Float], _ options: SamplingOptions, after tokens: [Int32] = []) -> Int32 {
    var sampler = Sampler(options)
    for token in tokens { sampler.accept(token) }
    return logits.withUnsafeBufferPointer { sampler.sample($0) }
  }

  /// llama.cpp's `llama_sampler_init_penalties`: frequency once for each time, presence once.
  @Test func presenceAndFrequency() {
    var options = SamplingOptions.greedy
    options.presencePenalty = 1
    #expect(SamplingPenaltyTests.sample([2, 1.5, 0], options) == 0)
    #expect(SamplingPenaltyTests.sample([2, 1.5, 0], options, after: [0]) == 1)
    #expect(SamplingPenaltyTests.sample([2, 0.9, 0], options, after: [0, 0, 0]) == 0)
    options.presencePenalty = 0
    options.frequencyPenalty = 0.5
    #expect(SamplingPenaltyTests.sample([2, 0.9, 0], options, after: [0, 0]) == 0)
    #expect(SamplingPenaltyTests.sample([2, 0.9, 0], options, after: [0, 0, 0]) == 1)
  }

  @Test func bias() {
    var options = SamplingOptions.greedy
    options.bias = [0: -.infinity, 2: 3, 99: 5, 1: .nan]
    #expect(SamplingPenaltyTests.sample([5, 1, 0], options) == 2)
    options.bias = [2: .infinity]
    #expect(SamplingPenaltyTests.sample([5, 1, 0], options) == 2)
  }
}
