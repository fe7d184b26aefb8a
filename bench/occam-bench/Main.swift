import Occam
import OccamCommandLine

/// Measures a model file or shape: prefill and decode rates, and with a photo everything an answer costs, pruned beside
/// unpruned.
@main enum Main {
  static func main() {
    Tool.run(Flags.spec) { arguments in
      if try runShape(arguments) { return .success }
      let photo = try arguments[Flags.image].map { try PhotoFile.read($0) }
      let isGrowth = arguments[Flags.growth]
      if isGrowth { OccamEnvironment.enableTimings() }
      let bench = try Bench(arguments, photo)
      if isGrowth {
        try Terminal.output(try GrowthBench(bench).table().text(bench.format))
        return .success
      }
      if arguments[Flags.format] == .jsonl {
        try LineBench(bench).run()
      } else {
        try Terminal.output(try text(bench))
      }
      OccamEnvironment.printTimings()
      return .success
    }
  }
}

extension Main {
  /// Two tables in Markdown; in the other formats one, so that a parser reads it in one go.
  private static func text(_ bench: Bench) throws -> String {
    let format = bench.format
    let rates = try bench.table()
    guard let photo = bench.photo else { return rates.text(format) }
    var tables = [rates, try ImageBench(bench, photo).table()]
    if bench.arguments[Flags.draftLookup] { tables.append(try LookupBench(bench, photo).table()) }
    if format != .md { return tables.dropFirst().reduce(rates) { $0.joined(with: $1) }.text(format) }
    return tables.filter { !$0.rows.isEmpty }.map { $0.text(format) }.joined(separator: "\n")
  }
}

extension Arguments {
  var session: SessionOptions {
    SessionOptions(keyFormat: value(Flags.cache.keys), valueFormat: value(Flags.cache.values))
  }
}

enum Flags {
  enum Format: String, CaseIterable, Sendable { case md, csv, json, jsonl }

  static let model = Flag<String>.file("-m", "--model", help: "GGUF text model, or one file with both sets of tensors")
  static let projector = Flag<String>.file("-mm", "--mmproj", help: "GGUF vision projector")
  static let image = Flag<String>.file("--image", help: "photo: measure encoding and answering, pruned beside unpruned")
  static let prompt = Flag<String>.text(
    "--prompt", default: "What is in the picture? Answer in one sentence.", help: "question about the photo")
  static let prefill = Flag<Int>.integer(
    "-p", "--n-prompt", in: 0...(1 << 20), default: 512, help: "tokens to prefill; may be repeated")
  static let decode = Flag<Int>.integer(
    "-n", "--n-gen", in: 0...(1 << 20), default: 128, help: "tokens to generate; may be repeated")
  static let repetitions = Flag<Int>.integer("-r", "--repetitions", in: 1...1000, default: 5, help: "runs of each test")
  static let threads = Flag<Int>.integer(
    "-t", "--threads", in: 1...256, help: "compute threads (default: usable cores)")
  static let cache = CacheFlags<SessionOptions.CacheFormat>(default: .f16)
  static let encoderType = Flag<ModelOptions.EncoderType>.choice(
    "--encoder-type", default: .auto, help: "format of the encoder's float weights")
  static let imageMaxTokens = Flag<Int>.integer(
    "--image-max-tokens", in: 1...1 << 14, help: "tokens of a picture at most, where a family keeps its proportions")
  static let visualBudget = Flag<Int>.integer(
    "--visual-budget", in: 1...(1 << 20), help: "mean visual tokens an image shall keep")
  static let lambda1 = Flag<Float>.number("--lambda1", in: 0...1e6, help: "stage I threshold")
  static let lambda2 = Flag<Float>.number("--lambda2", in: 0...1e6, help: "stage II threshold")
  static let pruneLayer = Flag<Int>.integer("--prune-layer", in: 1...1024, help: "text layer of stage II, from 1")
  static let maxVisualTokens = Flag<Int>.integer(
    "--max-visual-tokens", in: 1...(1 << 20), help: "hard cap of visual tokens")
  static let stageOneTokens = Flag<Int>.integer(
    "--stage1-tokens", in: 1...(1 << 20),
    help:
      "most visual tokens behind stage I; with --max-visual-tokens and lambdas of 0 the counts of a published setting")
  static let draftLookup = Flag<Bool>.toggle(
    "--draft-lookup", help: "with --image: ask twice, and decode the second answer plain and by prompt lookup")
  static let growth = Flag<Bool>.toggle(
    "--growth", help: "prefill 64 to 16384 tokens: cost of a token and attention's share of it")
  static let format = Flag<Format>.choice(
    "-o", "--output", default: .md, help: "format of the results; jsonl: a line a test, as bench/peers reads it")

  static let spec = CommandLineSpec(
    tool: "occam-bench", summary: "Measures prefill, decode and answers about a photo, pruned against unpruned.",
    groups: [
      .init("Model", [model.spec, projector.spec]),
      ShapeFlags.group,
      .init(
        "Tests",
        [prefill.spec, decode.spec, image.spec, prompt.spec, repetitions.spec, draftLookup.spec, growth.spec]),
      .init(
        "Pruning",
        [visualBudget.spec, lambda1.spec, lambda2.spec, pruneLayer.spec, stageOneTokens.spec, maxVisualTokens.spec]),
      .init(
        "Machine",
        [threads.spec, encoderType.spec, imageMaxTokens.spec] + cache.specs + LoadingFlags.specs),
      .init("Output", [format.spec]),
    ],
    examples: [
      "occam-bench -m model.gguf -p 512 -n 128 -t 2",
      "occam-bench -m model.gguf --image photo.jpg --visual-budget 32 -o json",
      "occam-bench --shape llava-1.5-7b:Q4_0 -t 2",
    ])
}
