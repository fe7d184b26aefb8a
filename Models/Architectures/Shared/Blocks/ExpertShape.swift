import OccamGGUF

/// Sizes of a mixture of experts and how its router weighs them, from a file's header.
package struct ExpertShape: Sendable, Equatable {
  package var count: Int
  /// Experts of a token.
  package var used: Int
  /// Width inside an expert.
  package var feedForward: Int
  /// Width inside the expert that every token takes; 0: there is none.
  package var shared = 0
  /// Whether a token's weights add up to 1.
  package var normalizesWeights = true
  /// What weights are multiplied with.
  package var scale: Float = 1

  package init(count: Int, used: Int, feedForward: Int) {
    (self.count, self.used, self.feedForward) = (count, used, feedForward)
  }

  /// Of `PREFIX.expert_*`. Softmax over all experts; groups of experts and other gating functions are refused.
  package init(_ file: GGUFFile, prefix: String) throws {
    func size(_ name: String, _ range: ClosedRange<Int>) throws -> Int {
      let value = try file.requireInteger("\(prefix).\(name)")
      guard range.contains(value) else {
        throw ModelError(
          .badValue, file.subject,
          "\(prefix).\(name) is \(value), expected \(range.lowerBound)...\(range.upperBound)")
      }
      return value
    }
    count = try size("expert_count", 1...1 << 12)
    used = try size("expert_used_count", 1...count)
    if file.metadata["\(prefix).expert_feed_forward_length"] != nil {
      feedForward = try size("expert_feed_forward_length", 1...1 << 20)
    } else {
      // llama.cpp's rule: the width of a network for all, shared among a token's experts.
      feedForward = max(1, try size("feed_forward_length", 1...1 << 20) / used)
    }
    if file.metadata["\(prefix).expert_shared_feed_forward_length"] != nil {
      shared = try size("expert_shared_feed_forward_length", 0...1 << 20)
    }
    normalizesWeights = try file.bool("\(prefix).expert_weights_norm") ?? true
    let scale = try file.float("\(prefix).expert_weights_scale") ?? 1
    guard scale.isFinite else {
      throw ModelError(.badValue, file.subject, "\(prefix).expert_weights_scale is \(scale)")
    }
    // 0 stands for none given.
    self.scale = scale == 0 ? 1 : scale
    // 1: softmax, llama.cpp's LLAMA_EXPERT_GATING_FUNC_TYPE_SOFTMAX.
    if let gating = try file.integer("\(prefix).expert_gating_func"), gating > 1 || gating < 0 {
      throw ModelError(
        .unknownArchitecture, file.subject, "\(prefix).expert_gating_func \(gating) is not supported (1: softmax)")
    }
    if let groups = try file.integer("\(prefix).expert_group_count"), groups > 1 {
      throw ModelError(
        .unknownArchitecture, file.subject, "\(prefix).expert_group_count \(groups) is not supported (1: no groups)")
    }
  }

  /// Floats of a pass of `rows` rows beside what it is given: gathered rows, the experts' insides and outputs, the packed
  /// inputs of their products, and the routing.
  package func activationFloats(rows: Int, hidden: Int) -> Int {
    let rows = min(rows, ExpertMLP.rowsPerStep)
    // Each expert's rows start on a multiple of four.
    let slots = rows * used + 3 * min(count, rows * used)
    let packed = (slots * max(hidden, feedForward) + rows * shared) / 2
    return slots * 2 * (hidden + feedForward) + packed + rows * (count + 1 + 2 * shared + 5 * used) + 4 * count
  }
}
