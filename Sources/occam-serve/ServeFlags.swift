import Occam
import OccamCommandLine
import OccamHTTP
import OccamService

/// The flags of occam-serve, named as llama-server's where the meaning is the same.
enum ServeFlags {
  static let model = Flag<String>.file("-m", "--model", help: "GGUF text model, or one file with both sets of tensors")
  static let projector = Flag<String>.file(
    "-mm", "--mmproj", help: "GGUF vision projector (default: mmproj*.gguf beside the model)")
  static let sidecar = Flag<String>.file(
    "--sidecar", help: "calibration by occam-calibrate (default: <projector>.occam.json)")
  static let alias = Flag<String>.text(
    "-a", "--alias", value: "NAME,...", help: "the model's name in replies, and others it has")
  static let tags = Flag<String>.text("--tags", value: "TAG,...", help: "what /v1/models says of the model besides")
  static let chatTemplate = Flag<String>.text(
    "--chat-template", value: "TEXT", help: "instead of the file's template: a template, or chatml, vicuna, plain")
  static let chatTemplateFile = Flag<String>.file("--chat-template-file", help: "the same from a file")
  static let templateVariables = Flag<String>.text(
    "--chat-template-kwargs", value: "JSON", help: "variables of the template where a request does not say")
  static let imageMinTokens = Flag<Int>.integer(
    "--image-min-tokens", in: 1...1 << 14, help: "tokens of a picture at least, where a family keeps its proportions")
  static let imageMaxTokens = Flag<Int>.integer(
    "--image-max-tokens", in: 1...1 << 14, help: "tokens of a picture at most, where a family keeps its proportions")

  static let host = Flag<String>.text(
    "--host", value: "HOST,...", default: "127.0.0.1", help: "addresses to listen on; 0.0.0.0 and :: are all")
  static let port = Flag<Int>.integer("--port", in: 0...65_535, default: 8080, help: "port, 0: any")
  static let unix = Flag<String>.file("--unix", value: "PATH", help: "listen on this Unix socket instead")
  static let apiKey = Flag<String>.text("--api-key", value: "KEY", help: "required of clients; may be repeated")
  static let apiKeyFile = Flag<String>.file("--api-key-file", help: "keys, one a line")
  static let mediaPath = Flag<String>.file(
    "--media-path", value: "DIR", help: "folder whose pictures requests may name as file://")
  static let cors = Flag<String>.text(
    "--cors", value: "ORIGIN",
    help: "site whose pages may call this service from a browser, localhost: this machine's, *: all (default: none)")
  static let noSlots = Flag<Bool>.toggle("--no-slots", help: "no answer at /slots")
  static let verbose = Flag<Bool>.toggle("--verbose", help: "chat completions tell their prompts")
  static let noPage = Flag<Bool>.toggle("--no-webui", help: "no page at /")
  static let metricsCompat = Flag<Bool>.toggle("--metrics-compat", help: "metrics under llama-server's names, too")

  static let parallel = Flag<Int>.integer(
    "-np", "--parallel", in: 1...256, default: ServiceOptions().parallel, help: "replies at a time")
  static let queue = Flag<Int>.integer(
    "--queue", in: 0...65_536, default: ServiceOptions().queue, help: "requests that may wait for one")
  static let connections = Flag<Int>.integer(
    "--connections", in: 1...100_000, default: HTTPLimits().connections, help: "connections at a time")
  static let maxBody = Flag<Int>.integer(
    "--max-body", value: "MIB", in: 1...4096, default: HTTPLimits().bodyBytes >> 20, help: "largest request")
  static let imageCache = Flag<Int>.integer(
    "--image-cache", value: "MIB", in: 0...1 << 20, default: ServiceOptions().imageCacheBytes >> 20,
    help: "encoded pictures that are kept, 0: none")
  static let memory = Flag<Int>.integer(
    "--mem-limit", value: "MIB", in: 1...1 << 30,
    help: "memory of the process: requests wait until they fit by their plans (default: the control group's limit)")
  static let drain = Flag<Int>.integer(
    "--drain-seconds", value: "S", in: 0...86_400, default: 30, help: "for replies at work when told to stop")
  static let drainDelay = Flag<Int>.integer(
    "--drain-delay", value: "S", in: 0...3600, default: 0,
    help: "when told to stop: /health says so, and requests are still taken, so that a balancer notices")

  static let context = Flag<Int>.integer(
    "-c", "--ctx-size", in: 0...Int(Int32.max), default: 0,
    help: "positions of a conversation at most, 0: as trained; a ceiling, not an allocation")
  static let cache = CacheFlags<SessionOptions.CacheFormat>(default: .f16)
  static let tokens = Flag<Int>.integer(
    "-n", "--predict", "--n-predict", in: -1...Int(Int32.max), default: -1,
    help: "tokens to generate at most where a request does not say, -1: no limit")
  static let temperature = Flag<Float>.number(
    "--temp", in: 0...100, default: 0.8, help: "temperature where a request does not say")
  static let seed = Flag<Int>.integer(
    "-s", "--seed", in: -1...Int.max, default: -1, help: "seed where a request does not say, -1: a new one each")
  static let ignoreEOS = Flag<Bool>.toggle("--ignore-eos", help: "replies go on past the model's end of text")
  static let noPrune = Flag<Bool>.toggle("--no-prune", help: "no pruning of visual tokens where a request does not say")
  static let threads = Flag<Int>.integer(
    "-t", "--threads", in: 1...256, help: "compute threads (default: usable cores)")

  static let helpEnvironment = Flag<Bool>.toggle("--help-env", help: "list debugging switches of the environment")
  static let drafts = DraftFlags(
    limit: Speculation.limit, most: Speculation().maxTokens, least: Speculation().minTokens,
    minProbability: Speculation().minProbability)

  static let spec = CommandLineSpec(
    tool: "occam-serve",
    summary: "Serves a vision-language model over HTTP: OpenAI's, Anthropic's and llama-server's APIs, and a page.",
    groups: [
      .init(
        "Model",
        [
          model.spec, projector.spec, sidecar.spec, alias.spec, tags.spec, chatTemplate.spec, chatTemplateFile.spec,
          imageMinTokens.spec, imageMaxTokens.spec, threads.spec, context.spec,
        ] + cache.specs + LoadingFlags.specs),
      .init(
        "Listening",
        [
          host.spec, port.spec, unix.spec, apiKey.spec, apiKeyFile.spec, mediaPath.spec, cors.spec, noPage.spec,
          noSlots.spec, metricsCompat.spec, verbose.spec,
        ]),
      .init(
        "Load",
        [
          parallel.spec, queue.spec, connections.spec, maxBody.spec, imageCache.spec, memory.spec, drain.spec,
          drainDelay.spec,
        ]),
      .init(
        "Defaults of requests",
        [tokens.spec, temperature.spec, seed.spec, ignoreEOS.spec, templateVariables.spec, noPrune.spec]),
      drafts.group,
    ],
    pages: [.init(helpEnvironment) { OccamEnvironment.help }],
    examples: [
      "occam-serve -m model.gguf",
      "curl http://127.0.0.1:8080/v1/chat/completions -d '{\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}'",
    ])
}
