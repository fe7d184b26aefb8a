/// How the next token is drawn. The defaults and the meaning of every value are llama.cpp's.
package struct SamplingOptions: Sendable, Equatable {
  /// 0 or less: always the most likely token.
  package var temperature: Float = 0.8
  /// Only the k most likely tokens; 0 or less: all.
  package var topK = 40
  /// The fewest tokens whose probabilities reach this sum; 1 or more: all.
  package var topP: Float = 0.95
  /// Only tokens at least this fraction as likely as the most likely one; 0 or less: all.
  package var minP: Float = 0.05
  /// Divides positive logits of recent tokens and multiplies the others; 1: off.
  package var repeatPenalty: Float = 1
  /// Taken off the logit of a recent token once.
  package var presencePenalty: Float = 0
  /// Taken off the logit of a recent token for each time that it occurred.
  package var frequencyPenalty: Float = 0
  /// Added to the logits of single tokens.
  package var bias: [Int32: Float] = [:]
  /// Tokens back that count as recent; 0: none.
  package var repeatLastN = 64
  package var seed: UInt64 = 0

  package init() {}

  package static var greedy: SamplingOptions {
    var options = SamplingOptions()
    options.temperature = 0
    return options
  }
}
