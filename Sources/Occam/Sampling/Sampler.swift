import Glibc
import OccamCore
import OccamGrammar

/// Draws tokens from logits: penalties, top-k, top-p, min-p, temperature, in llama.cpp's order. The same seed and the
/// same logits give the same tokens.
package struct Sampler: Sendable {
  package let options: SamplingOptions
  private var generator: SeededGenerator
  private var recent: [Int32] = []
  private var oldest = 0
  private var occurrences: [Int32: Int] = [:]
  private var scratch: [Float] = []
  /// Whether `draws` are kept.
  package var recordsDraws = false
  /// What the last token was drawn from, likelier first, with the probabilities that it was drawn by.
  package private(set) var draws: [LogProbabilities.Entry] = []

  package init(_ options: SamplingOptions) {
    self.options = options
    generator = SeededGenerator(seed: options.seed)
  }

  /// Counts a token, drawn or given, as recent.
  package mutating func accept(_ token: Int32) {
    guard options.repeatLastN > 0 else { return }
    if recent.count < options.repeatLastN {
      recent.append(token)
    } else {
      let dropped = recent[oldest]
      if let count = occurrences[dropped] { occurrences[dropped] = count > 1 ? count - 1 : nil }
      recent[oldest] = token
      oldest = (oldest + 1) % recent.count
    }
    occurrences[token, default: 0] += 1
  }

  /// Draws the next token; it is not counted as recent yet.
  /// - Parameters:
  ///   - logits: one per token of the vocabulary, at least one. A logit that is not a number is never drawn while another
  ///     can be.
  ///   - mask: tokens that may be drawn, one at least; nil: all. It binds more than biases and penalties: where these
  ///     leave none of its tokens, one is drawn by the logits alone.
  package mutating func sample(_ logits: UnsafeBufferPointer<Float>, allowing mask: TokenMask? = nil) -> Int32 {
    precondition(!logits.isEmpty, "Sampler: no logits")
    load(logits)
    draws.removeAll()
    penalise()
    if let mask { hold(to: mask, logits) }
    if !(options.temperature > 0) {
      let id = argmax()
      if recordsDraws { draws = [LogProbabilities.Entry(id: id, logProbability: 0)] }
      return id
    }
    var candidates = shortlist()
    // Every stage keeps the likeliest, so that its logit is the maximum throughout.
    let maximum = candidates.reduce(-Float.infinity) { max($0, $1.logit) }
    guard maximum > -.infinity else { return candidates.first?.id ?? 0 }
    if options.minP > 0 {
      let bound = maximum + log(min(options.minP, 1))
      candidates.removeAll { $0.logit < bound }
    }
    return draw(candidates, maximum: maximum)
  }

  private mutating func load(_ logits: UnsafeBufferPointer<Float>) {
    scratch.removeAll(keepingCapacity: true)
    scratch.append(contentsOf: logits)
    for index in scratch.indices {
      let value = scratch[index]
      if value.isNaN { scratch[index] = -.infinity }
      if value == .infinity { scratch[index] = .greatestFiniteMagnitude }
    }
  }

  private mutating func hold(to mask: TokenMask, _ logits: UnsafeBufferPointer<Float>) {
    func apply() { scratch.withUnsafeMutableBufferPointer { mask.apply(to: $0) } }
    apply()
    guard scratch.allSatisfy({ $0 == -.infinity }) else { return }
    load(logits)
    apply()
    guard scratch.allSatisfy({ $0 == -.infinity }) else { return }
    for id in scratch.indices where mask.allows(Int32(id)) { scratch[id] = 0 }
  }

  /// Never more than the largest number, nor none: infinities of both signs may meet.
  private mutating func set(_ token: Int32, _ logit: Float) {
    scratch[Int(token)] = logit.isNaN ? -.infinity : min(logit, .greatestFiniteMagnitude)
  }

  private mutating func penalise() {
    for (token, bias) in options.bias where scratch.indices.contains(Int(token)) && !bias.isNaN {
      set(token, scratch[Int(token)] + bias)
    }
    let (presence, frequency) = (options.presencePenalty, options.frequencyPenalty)
    let multiplies = options.repeatPenalty != 1 && options.repeatPenalty > 0 && options.repeatPenalty.isFinite
    let penalty = multiplies ? options.repeatPenalty : 1
    guard multiplies || presence != 0 || frequency != 0 else { return }
    for (token, count) in occurrences where scratch.indices.contains(Int(token)) {
      let logit = scratch[Int(token)]
      set(token, (logit <= 0 ? logit * penalty : logit / penalty) - presence - Float(count) * frequency)
    }
  }

  /// The largest logit; of equals the lowest id.
  private func argmax() -> Int32 {
    var best = 0
    for index in scratch.indices where scratch[index] > scratch[best] { best = index }
    return Int32(best)
  }

  /// Top-k and top-p. Sorted by falling logit where one of them is on, by id otherwise.
  private func shortlist() -> [Candidate] {
    let all = scratch.count
    let limitsCount = options.topK > 0 && options.topK < all
    let limitsMass = options.topP < 1
    if limitsCount {
      let top = largest(options.topK, of: scratch)
      guard limitsMass, let maximum = top.first?.logit else { return top }
      let total = top.reduce(0) { $0 + weight($1.logit, maximum) }
      return nucleus(of: top, total: total) ?? top
    }
    guard limitsMass else { return scratch.indices.map { Candidate(logit: scratch[$0], id: Int32($0)) } }
    let maximum = scratch.reduce(-Float.infinity, max)
    let total = scratch.reduce(0) { $0 + weight($1, maximum) }
    // The nucleus is small nearly always, so only so many candidates are sorted as it turns out to need.
    var count = min(256, all)
    while true {
      let top = largest(count, of: scratch)
      if let nucleus = nucleus(of: top, total: total) { return nucleus }
      if count == all { return top }
      count = min(count * 8, all)
    }
  }

  /// The shortest beginning of `sorted` whose weights reach topP x total; nil when all of them do not.
  private func nucleus(of sorted: [Candidate], total: Double) -> [Candidate]? {
    let wanted = Double(options.topP) * total
    var sum = 0.0
    for (index, candidate) in sorted.enumerated() {
      sum += weight(candidate.logit, sorted[0].logit)
      if sum >= wanted { return Array(sorted[...index]) }
    }
    return nil
  }

  private func weight(_ logit: Float, _ maximum: Float) -> Double {
    maximum > -.infinity ? exp(Double(logit) - Double(maximum)) : 1
  }

  /// Tokens whose probability is too small for a number of this width could not be drawn, and are left out.
  private mutating func record(_ candidates: [Candidate], maximum: Float, sum: Double) {
    let temperature = Double(options.temperature)
    draws = candidates.sorted { $0.precedes($1) }.compactMap { candidate in
      let logProbability = Float((Double(candidate.logit) - Double(maximum)) / temperature - log(sum))
      guard exp(logProbability) > 0 else { return nil }
      return LogProbabilities.Entry(id: candidate.id, logProbability: min(logProbability, 0))
    }
  }

  private mutating func draw(_ candidates: [Candidate], maximum: Float) -> Int32 {
    let temperature = Double(options.temperature)
    var sum = 0.0
    let cumulative = candidates.map { candidate in
      sum += exp((Double(candidate.logit) - Double(maximum)) / temperature)
      return sum
    }
    // 53 random bits; below 1, so that the last candidate's sum is always above.
    let point = Double(generator.next() >> 11) * 0x1p-53 * sum
    let index = cumulative.firstIndex { $0 > point } ?? 0
    if recordsDraws { record(candidates, maximum: maximum, sum: sum) }
    return candidates[index].id
  }
}
