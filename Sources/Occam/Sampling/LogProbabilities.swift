import Glibc

/// Natural logarithms of probabilities, by the softmax of the raw logits: before penalties and temperature; or those that
/// a token was drawn by.
package struct LogProbabilities: Sendable, Equatable {
  package struct Entry: Sendable, Equatable {
    package let id: Int32
    package let logProbability: Float

    package init(id: Int32, logProbability: Float) {
      self.id = id
      self.logProbability = logProbability
    }
  }

  /// Of the chosen token; minus infinity when its id is out of range or its logit not a number.
  package let chosen: Float
  /// The likeliest tokens, likelier first, of equals the lower id.
  package let top: [Entry]

  /// - Parameter draws: what could be drawn, as `Sampler.draws` has them.
  package init(drawnFrom draws: [Entry], chosen: Int32, top: Int) {
    self.chosen = draws.first { $0.id == chosen }?.logProbability ?? -.infinity
    self.top = Array(draws.prefix(max(top, 0)))
  }

  /// - Parameter top: how many alternatives to list.
  package init(_ logits: UnsafeBufferPointer<Float>, chosen: Int32, top: Int) {
    let values = logits.map { $0.isNaN ? -.infinity : min($0, .greatestFiniteMagnitude) }
    let maximum = values.reduce(-Float.infinity, max)
    guard maximum > -.infinity else {
      self.chosen = -.infinity
      self.top = []
      return
    }
    let sum = values.reduce(0) { $0 + exp(Double($1) - Double(maximum)) }
    let logSum = Double(maximum) + log(sum)
    func logProbability(_ logit: Float) -> Float { Float(Double(logit) - logSum) }
    self.chosen = values.indices.contains(Int(chosen)) ? logProbability(values[Int(chosen)]) : -.infinity
    self.top = largest(max(top, 0), of: values).map { Entry(id: $0.id, logProbability: logProbability($0.logit)) }
  }
}
