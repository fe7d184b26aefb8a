import Occam
import OccamCommandLine

/// What stands on stderr beside the answer.
enum Report {
  /// One line: image tokens 576 -> 41 (stage I 230) | encode 1.20 s | ...
  static func footer(_ metrics: GenerationMetrics) -> String {
    var parts: [String] = []
    if !metrics.pruning.isEmpty {
      let total = metrics.pruning.reduce(0) { $0 + $1.total }
      let stage1 = metrics.pruning.reduce(0) { $0 + $1.stage1 }
      let kept = metrics.pruning.reduce(0) { $0 + $1.kept }
      parts.append("image tokens \(total) -> \(kept) (stage I \(stage1))")
    } else if metrics.meanVisualTokensPerLayer > 0 {
      parts.append("image tokens \(Int(metrics.meanVisualTokensPerLayer))")
    }
    let timings = metrics.timings
    if timings.imageEncode > 0 { parts.append("encode \(Number.text(timings.imageEncode / 1000, 2)) s") }
    parts.append("prefill \(Number.text(timings.prefillTokensPerSecond, 1)) tok/s")
    if metrics.generatedTokens > 1 { parts.append("decode \(Number.text(timings.decodeTokensPerSecond, 1)) tok/s") }
    if metrics.draftedTokens > 0 { parts.append("guesses \(metrics.acceptedTokens) of \(metrics.draftedTokens) right") }
    if metrics.generatedTokens > 0 {
      parts.append("first token \(Number.text(timings.timeToFirstToken / 1000, 2)) s")
    }
    let unpruned = metrics.kvBytes < metrics.kvBytesUnpruned ? " of \(mebibytes(metrics.kvBytesUnpruned))" : ""
    parts.append("KV \(mebibytes(metrics.kvBytes))\(unpruned) MiB")
    parts.append("peak RSS \(mebibytes(metrics.peakResidentBytes)) MiB")
    return parts.joined(separator: " | ") + "\n"
  }

  static func model(_ model: VisionLanguageModel) -> String {
    "occam-run: kernel \(model.kernel), \(model.threads) threads, weights \(mebibytes(model.weightsBytes)) MiB, loaded in "
      + "\(Number.text(model.loadMilliseconds / 1000, 2)) s, \(model.isCalibrated ? "calibrated" : "not calibrated")\n"
  }

  private static func mebibytes(_ bytes: Int) -> String { Number.text(Double(bytes) / 1_048_576, 1) }
}
