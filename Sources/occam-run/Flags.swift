import Occam
import OccamCommandLine

/// The flags of occam-run, named as llama.cpp's users know them where the meaning is the same.
enum Flags {
  enum Prune: String, CaseIterable, Sendable { case auto, off }

  static let model = Flag<String>.file("-m", "--model", help: "GGUF text model, or one file with both sets of tensors")
  static let projector = Flag<String>.file(
    "-mm", "--mmproj", help: "GGUF vision projector (default: mmproj*.gguf beside the model)")
  static let sidecar = Flag<String>.file(
    "--sidecar", help: "calibration by occam-calibrate (default: <projector>.occam.json)")

  static let encoderType = Flag<ModelOptions.EncoderType>.choice(
    "--encoder-type", default: .auto, help: "format of the vision encoder's float weights in memory")
  static let chatTemplate = Flag<String>.file(
    "--chat-template-file", help: "chat template in Jinja (default: the text model's own)")
  static let imageMinTokens = Flag<Int>.integer(
    "--image-min-tokens", in: 1...1 << 14, help: "tokens of a picture at least, where a family keeps its proportions")
  static let imageMaxTokens = Flag<Int>.integer(
    "--image-max-tokens", in: 1...1 << 14, help: "tokens of a picture at most, where a family keeps its proportions")

  static let image = Flag<String>.file(
    "--image", help: "JPEG, PNG, WebP, GIF or BMP file, - for standard input; may be repeated")
  static let strictImages = Flag<Bool>.toggle(
    "--strict-images", help: "refuse damaged pictures that browsers show, instead of warning")
  static let background = Flag<String>.text(
    "--background", value: "COLOUR", default: "white", help: "behind transparent pixels: a name, #rrggbb or r,g,b")
  static let prompt = Flag<String>.text("-p", "--prompt", help: "the question, - for standard input")
  static let promptFile = Flag<String>.file("-f", "--file", help: "read the question from a file")
  static let escape = Flag<Bool>.toggle(
    "-e", "--escape", help: "process \\n, \\t, \\xHH and the like in -p and -r (the default)")
  static let noEscape = Flag<Bool>.toggle("--no-escape", help: "take -p and -r as they are")
  static let system = Flag<String>.text("-sys", "--system-prompt", help: "system prompt")
  static let raw = Flag<Bool>.toggle(
    "--raw", help: "prompt verbatim, without the chat template; <__media__> marks an image")

  static let tokens = Flag<Int>.integer(
    "-n", "--predict", "--n-predict", in: -1...Int(Int32.max), default: -1,
    help: "tokens to generate at most, -1: no limit")
  static let context = Flag<Int>.integer(
    "-c", "--ctx-size", in: 0...Int(Int32.max), default: 0,
    help: "context positions at most, 0: as trained; a ceiling, not an allocation")
  static let temperature = Flag<Float>.number("--temp", in: 0...100, default: 0.8, help: "temperature, 0: greedy")
  static let topK = Flag<Int>.integer("--top-k", in: 0...Int(Int32.max), default: 40, help: "top-k sampling, 0: off")
  static let topP = Flag<Float>.number("--top-p", in: 0...1, default: 0.95, help: "top-p sampling, 1: off")
  static let minP = Flag<Float>.number("--min-p", in: 0...1, default: 0.05, help: "min-p sampling, 0: off")
  static let repeatPenalty = Flag<Float>.number(
    "--repeat-penalty", in: 0.01...100, default: 1, help: "penalty of repeated tokens, 1: off")
  static let repeatLastN = Flag<Int>.integer(
    "--repeat-last-n", in: 0...Int(Int32.max), default: 64, help: "tokens the penalty looks back on")
  static let seed = Flag<Int>.integer(
    "-s", "--seed", in: -1...Int.max, default: -1, help: "sampling seed, -1: random; printed by --json")
  static let stop = Flag<String>.text("-r", "--reverse-prompt", help: "stop before this text; may be repeated")
  static let ignoreEOS = Flag<Bool>.toggle("--ignore-eos", help: "go on past the model's end of text")

  static let drafts = DraftFlags(
    limit: Speculation.limit, most: Speculation().maxTokens, least: Speculation().minTokens,
    minProbability: Speculation().minProbability)

  static let prune = Flag<Prune>.choice("--prune", default: .auto, help: "visual-token pruning by OccamToken")
  static let visualBudget = Flag<Int>.integer(
    "--visual-budget", in: 1...(1 << 20), help: "mean visual tokens an image shall keep (needs a calibration)")
  static let lambda1 = Flag<Float>.number(
    "--lambda1", in: 0...1e6, help: "stage I threshold, relative to the reference")
  static let lambda2 = Flag<Float>.number(
    "--lambda2", in: 0...1e6, help: "stage II threshold, relative to the reference")
  static let pruneLayer = Flag<Int>.integer(
    "--prune-layer", in: 1...1024, help: "text layer of stage II, from 1 (default: a third of the depth)")
  static let maxVisualTokens = Flag<Int>.integer(
    "--max-visual-tokens", in: 1...(1 << 20), help: "hard cap of visual tokens an image")
  static let kvPolicy = Flag<GenerationOptions.KVCellPolicy>.choice(
    "--kv-policy", default: .compact, help: "KV cache entries of dropped tokens in the layers before stage II")
  static let keepMap = Flag<String>.file(
    "--keep-map", value: "OUT.png", help: "write the photo with dropped patches dimmed; further images: OUT-2.png, ...")
  static let visionLayout = Flag<ModelOptions.VisionLayout>.choice(
    "--vision-layout", default: .reference,
    help: "reading of a LLaVA projector: as trained, or as llama.cpp computes it")

  static let threads = Flag<Int>.integer(
    "-t", "--threads", in: 1...256, help: "compute threads (default: usable cores)")
  static let cache = CacheFlags<SessionOptions.CacheFormat>(default: .f16)

  static let json = Flag<Bool>.toggle("--json", help: "one JSON object a line on stdout: tokens, then a summary")
  static let logprobs = Flag<Int>.integer(
    "--logprobs", value: "K", in: 0...1000, default: 0, help: "alternatives a token, with --json")
  static let verbose = Flag<Bool>.toggle("-v", "--verbose", help: "say more on stderr")
  static let quiet = Flag<Bool>.toggle("-q", "--quiet", help: "no progress and no footer on stderr")
  static let dryRun = Flag<Bool>.toggle("--dry-run", help: "print the memory plan; load nothing")
  static let inspect = Flag<String>.file("--inspect", help: "list a GGUF file's metadata and tensors")
  static let helpEnvironment = Flag<Bool>.toggle("--help-env", help: "list debugging switches of the environment")

  static let spec = CommandLineSpec(
    tool: "occam-run", summary: "Answers questions about photos with GGUF vision-language models, on the CPU.",
    groups: [
      .init(
        "Model",
        [
          model.spec, projector.spec, sidecar.spec, chatTemplate.spec, encoderType.spec, imageMinTokens.spec,
          imageMaxTokens.spec,
        ] + LoadingFlags.specs),
      .init(
        "Prompt",
        [
          image.spec, strictImages.spec, background.spec, prompt.spec, promptFile.spec, escape.spec, noEscape.spec,
          system.spec, raw.spec,
        ]),
      .init(
        "Generation",
        [
          tokens.spec, context.spec, temperature.spec, topK.spec, topP.spec, minP.spec, repeatPenalty.spec,
          repeatLastN.spec, seed.spec, stop.spec, ignoreEOS.spec,
        ]),
      drafts.group,
      .init(
        "Pruning",
        [
          prune.spec, visualBudget.spec, lambda1.spec, lambda2.spec, pruneLayer.spec, maxVisualTokens.spec,
          kvPolicy.spec, keepMap.spec, visionLayout.spec,
        ]),
      .init("Machine", [threads.spec] + cache.specs),
      .init("Output", [json.spec, logprobs.spec, verbose.spec, quiet.spec, dryRun.spec, inspect.spec]),
    ],
    pages: [.init(helpEnvironment) { OccamEnvironment.help }],
    examples: [
      "occam-run -m llava-7b-Q4_0.gguf --image photo.jpg -p \"What is on the table?\"",
      "occam-run -m model.gguf --image photo.jpg --keep-map kept.png -p \"Read it.\"",
      "occam-run -m model.gguf          a chat: /image FILE, /clear, /quit",
    ])
}

extension Arguments {
  var modelOptions: ModelOptions {
    var options = ModelOptions(threads: self[Flags.threads], sidecar: self[Flags.sidecar])
    options.visionLayout = self[Flags.visionLayout] ?? .reference
    options.encoderType = self[Flags.encoderType] ?? .auto
    options.imageMinTokens = self[Flags.imageMinTokens]
    options.imageMaxTokens = self[Flags.imageMaxTokens]
    options.draftModel = self[Flags.drafts.model]
    options.packCache = self[LoadingFlags.packCache]
    options.packCacheBytes = value(LoadingFlags.packCacheSize) << 20
    options.lowMemory = self[LoadingFlags.lowMemory]
    return options
  }

  var speculation: Speculation {
    var speculation = Speculation()
    speculation.lookup = self[Flags.drafts.lookup]
    speculation.maxTokens = value(Flags.drafts.most)
    speculation.minTokens = value(Flags.drafts.least)
    speculation.minProbability = value(Flags.drafts.minProbability)
    return speculation
  }

  /// With the files that they name.
  func loadingOptions() throws(OccamError) -> ModelOptions {
    var options = modelOptions
    if let path = self[Flags.chatTemplate] { options.chatTemplate = try TextFile.read(path) }
    return options
  }

  func sessionOptions() throws(UsageError) -> SessionOptions {
    let context = self[Flags.context] ?? 0
    var options = SessionOptions(
      contextLength: context == 0 ? nil : context, keyFormat: value(Flags.cache.keys),
      valueFormat: value(Flags.cache.values))
    options.images.isStrict = self[Flags.strictImages]
    if let name = self[Flags.background] {
      guard let colour = ImageReading.background(named: name) else {
        throw .invalid("--background \(name): expected white, black, grey, #rrggbb or r,g,b")
      }
      options.images.background = colour
    }
    return options
  }

  /// A text of the command line, its escapes processed unless that is turned off.
  func escaped(_ text: String) -> String { self[Flags.noEscape] ? text : unescape(text) }

  func generationOptions() -> GenerationOptions {
    var options = GenerationOptions()
    if let tokens = self[Flags.tokens], tokens >= 0 { options.maxTokens = tokens }
    options.temperature = self[Flags.temperature] ?? options.temperature
    options.topK = self[Flags.topK] ?? options.topK
    options.topP = self[Flags.topP] ?? options.topP
    options.minP = self[Flags.minP] ?? options.minP
    options.repeatPenalty = self[Flags.repeatPenalty] ?? options.repeatPenalty
    options.repeatLastN = self[Flags.repeatLastN] ?? options.repeatLastN
    let seed = self[Flags.seed] ?? -1
    options.seed = seed < 0 ? UInt64.random(in: 0..<(1 << 53)) : UInt64(seed)
    options.stop = all(Flags.stop).map(escaped)
    options.ignoresEndOfText = self[Flags.ignoreEOS]
    options.logprobs = self[Flags.json] ? self[Flags.logprobs] ?? 0 : nil
    options.raw = self[Flags.raw]
    options.speculation = speculation
    options.pruning.enabled = self[Flags.prune] != .off
    options.pruning.lambda1 = self[Flags.lambda1]
    options.pruning.lambda2 = self[Flags.lambda2]
    options.pruning.layer = self[Flags.pruneLayer]
    options.pruning.visualBudget = self[Flags.visualBudget]
    options.pruning.maxVisualTokens = self[Flags.maxVisualTokens]
    options.pruning.kvPolicy = self[Flags.kvPolicy] ?? .compact
    return options
  }
}
