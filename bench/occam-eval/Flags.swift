import Occam
import OccamCommandLine
import OccamEvalKit

/// The flags of occam-eval; those that occam-run has too mean the same there.
enum Flags {
  enum Prune: String, CaseIterable, Sendable { case auto, off }
  enum Format: String, CaseIterable, Sendable { case md, csv, json, jsonl }

  static let model = Flag<String>.file("-m", "--model", help: "GGUF text model, or one file with both sets of tensors")
  static let projector = Flag<String>.file(
    "-mm", "--mmproj", help: "GGUF vision projector (default: mmproj*.gguf beside the model)")
  static let sidecar = Flag<String>.file(
    "--sidecar", help: "calibration by occam-calibrate (default: <projector>.occam.json)")
  static let encoderType = Flag<ModelOptions.EncoderType>.choice(
    "--encoder-type", default: .auto, help: "format of the vision encoder's float weights in memory")
  static let imageMinTokens = Flag<Int>.integer(
    "--image-min-tokens", in: 1...1 << 14, help: "tokens of a picture at least, where a family keeps its proportions")
  static let imageMaxTokens = Flag<Int>.integer(
    "--image-max-tokens", in: 1...1 << 14, help: "tokens of a picture at most, where a family keeps its proportions")
  static let visionLayout = Flag<ModelOptions.VisionLayout>.choice(
    "--vision-layout", default: .reference,
    help: "reading of a LLaVA projector: as trained, or as llama.cpp computes it")

  static let questions = Flag<String>.file(
    "--questions", help: "JSON lines with id, image, question, answer, type; images relative to the file")
  static let limit = Flag<Int>.integer("--limit", in: 1...(1 << 30), help: "ask only the first N questions")
  static let types = Flag<String>.text(
    "--types", value: "A,B",
    help: "ask only these types: \(QuestionType.allCases.map(\.rawValue).joined(separator: ", "))")
  static let answerTokens = Flag<Int>.integer(
    "-n", "--predict", "--n-predict", in: 1...(1 << 20), default: 64, help: "tokens of an answer at most")
  static let context = Flag<Int>.integer(
    "-c", "--ctx-size", in: 0...Int(Int32.max), default: 0, help: "context positions at most, 0: as trained")

  static let prune = Flag<Prune>.choice("--prune", default: .auto, help: "off: ask the unpruned model only")
  static let visualBudget = Flag<Int>.integer(
    "--visual-budget", in: 1...(1 << 20), help: "mean visual tokens an image shall keep (needs a sidecar)")
  static let lambda1 = Flag<Float>.number(
    "--lambda1", in: 0...1e6, help: "stage I threshold, relative to the reference; may be repeated")
  static let lambda2 = Flag<Float>.number(
    "--lambda2", in: 0...1e6, help: "stage II threshold, relative to the reference; may be repeated")
  static let pruneLayer = Flag<Int>.integer(
    "--prune-layer", in: 1...1024,
    help: "text layer of stage II, from 1 (default: a third of the depth); may be repeated")
  static let maxVisualTokens = Flag<Int>.integer(
    "--max-visual-tokens", in: 1...(1 << 20), help: "hard cap of visual tokens an image")
  static let kvPolicy = Flag<GenerationOptions.KVCellPolicy>.choice(
    "--kv-policy",
    help: "KV cache entries of dropped tokens in the layers before (default: compact; fastv: keep); may be repeated")

  static let methods = Flag<String>.text(
    "--methods", "--method", value: "A,B",
    help: "what to compare (default: occamtoken): \(EvalMethod.allCases.map(\.rawValue).joined(separator: ", "))")
  static let methodBudget = Flag<String>.text(
    "--method-budget", value: "K,L", help: "tokens that methods with a fixed count keep: 32 or 5.6%")
  static let matchBudget = Flag<String>.text(
    "--match-budget", value: "K,L", help: "mean tokens that adaptive methods shall keep: chooses lambda2 by --calibrate"
  )
  static let calibrate = Flag<String>.file(
    "--calibrate", help: "questions to choose thresholds on; never the ones that are asked")
  static let calibrateLimit = Flag<Int>.integer(
    "--calibrate-limit", in: 1...(1 << 30), default: 400, help: "use only N of them, spread over the file")
  static let stageOne = Flag<String>.text(
    "--stage-one-budget", value: "K",
    help: "tokens behind stage I of occamtoken-fixed (default: OccamToken's mean, or 45%)")
  static let meanLambda1 = Flag<Float>.number(
    "--mean-lambda1", in: 0...1e6, help: "stage I threshold of the mean methods (default: as many tokens as OccamToken)"
  )
  static let meanLambda2 = Flag<Float>.number(
    "--mean-lambda2", in: 0...1e6, help: "stage II threshold of the mean methods")
  static let seed = Flag<Int>.integer("-s", "--seed", in: 0...Int.max, default: 0, help: "seed of the random method")
  static let noBaseline = Flag<Bool>.toggle(
    "--no-baseline", help: "do not ask the unpruned model, which relative accuracy is told against")

  static let threads = Flag<Int>.integer(
    "-t", "--threads", in: 1...256, help: "compute threads (default: usable cores)")
  static let cache = CacheFlags<SessionOptions.CacheFormat>(default: .f16)

  static let results = Flag<String>.file(
    "--results", help: "append every answer as a JSON line; what the file holds already is not asked again")
  static let format = Flag<Format>.choice(
    "-o", "--output", default: .md, help: "format of the summary; jsonl: a line a setting")
  static let quiet = Flag<Bool>.toggle("-q", "--quiet", help: "no progress on stderr")

  static let spec = CommandLineSpec(
    tool: "occam-eval",
    summary: "Asks a vision-language model a set of questions and tells what visual-token pruning costs.",
    groups: [
      .init(
        "Model",
        [
          model.spec, projector.spec, sidecar.spec, encoderType.spec, imageMinTokens.spec, imageMaxTokens.spec,
          visionLayout.spec,
        ]),
      .init("Questions", [questions.spec, limit.spec, types.spec, answerTokens.spec, context.spec]),
      .init(
        "Pruning",
        [
          prune.spec, visualBudget.spec, lambda1.spec, lambda2.spec, pruneLayer.spec, maxVisualTokens.spec,
          kvPolicy.spec,
        ]),
      .init(
        "Comparison",
        [
          methods.spec, methodBudget.spec, matchBudget.spec, calibrate.spec, calibrateLimit.spec, stageOne.spec,
          meanLambda1.spec, meanLambda2.spec, seed.spec, noBaseline.spec,
        ]),
      .init("Machine", [threads.spec] + cache.specs),
      .init("Output", [results.spec, format.spec, quiet.spec]),
    ],
    examples: [
      "occam-eval -m model.gguf --questions test.jsonl --limit 200",
      "occam-eval -m model.gguf --questions test.jsonl --lambda2 0.5 --lambda2 1 --lambda2 2",
      "occam-eval -m model.gguf --questions test.jsonl --calibrate val.jsonl --methods occamtoken,divprune,fastv"
        + " --match-budget 22%,11% --method-budget 22%,11% --results results.jsonl",
    ])
}

extension Arguments {
  var modelOptions: ModelOptions {
    var options = ModelOptions(threads: self[Flags.threads], sidecar: self[Flags.sidecar])
    options.visionLayout = self[Flags.visionLayout] ?? .reference
    options.encoderType = self[Flags.encoderType] ?? .auto
    options.imageMinTokens = self[Flags.imageMinTokens]
    options.imageMaxTokens = self[Flags.imageMaxTokens]
    return options
  }

  var sessionOptions: SessionOptions {
    let context = self[Flags.context] ?? 0
    return SessionOptions(
      contextLength: context == 0 ? nil : context, keyFormat: value(Flags.cache.keys),
      valueFormat: value(Flags.cache.values))
  }

  func types() throws(UsageError) -> Set<QuestionType>? {
    let names = names(Flags.types)
    guard !names.isEmpty else { return nil }
    return Set(try names.map { name throws(UsageError) in try choice(name, Flags.types, QuestionType.self) })
  }

  func request() throws(UsageError) -> SettingRequest {
    var request = SettingRequest()
    let names = names(Flags.methods)
    if !names.isEmpty {
      request.methods = try names.map { name throws(UsageError) in try choice(name, Flags.methods, EvalMethod.self) }
    }
    if self[Flags.prune] == .off {
      guard names.isEmpty else { throw .invalid("--prune off asks the unpruned model only; --methods names others") }
      request.methods = [.off]
    }
    request.budgets = try budgets(Flags.methodBudget)
    request.targets = try budgets(Flags.matchBudget)
    request.stageOne = try budgets(Flags.stageOne).last
    request.lambda1 = all(Flags.lambda1)
    request.lambda2 = all(Flags.lambda2)
    request.layers = all(Flags.pruneLayer)
    request.kvPolicies = all(Flags.kvPolicy)
    request.visualBudget = self[Flags.visualBudget]
    request.maxVisualTokens = self[Flags.maxVisualTokens]
    request.meanLambda1 = self[Flags.meanLambda1]
    request.meanLambda2 = self[Flags.meanLambda2]
    request.seed = UInt64(self[Flags.seed] ?? 0)
    request.hasBaseline = !self[Flags.noBaseline]
    return request
  }

  /// Names with commas between them, the flag given once or more.
  private func names(_ flag: Flag<String>) -> [String] {
    all(flag).flatMap { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
  }

  private func choice<Value: RawRepresentable & CaseIterable>(
    _ name: String, _ flag: Flag<String>, _: Value.Type
  ) throws(UsageError) -> Value where Value.RawValue == String {
    if let value = Value(rawValue: name) { return value }
    let known = Value.allCases.map(\.rawValue)
    let nearest = NearestName.find(name, among: known).map { "; did you mean '\($0)'?" } ?? ""
    throw .invalidValue(
      flag: flag.spec.name, value: name, expected: "one of \(known.joined(separator: ", "))\(nearest)")
  }

  private func budgets(_ flag: Flag<String>) throws(UsageError) -> [TokenBudget] {
    var result: [TokenBudget] = []
    for text in all(flag) {
      guard let list = TokenBudget.list(text) else {
        throw .invalidValue(flag: flag.spec.name, value: text, expected: "tokens (32) or shares (5.6%), commas between")
      }
      result += list
    }
    return result
  }
}
