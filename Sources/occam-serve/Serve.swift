import Dispatch
import Glibc
import Occam
import OccamCommandLine
import OccamHTTP
import OccamService
import Synchronization

/// One service, from its flags to its end.
struct Serve {
  let arguments: Arguments
  private let path: String
  private let service: Service
  private let server: HTTPServer

  init(_ arguments: Arguments) throws {
    self.arguments = arguments
    path = try arguments.require(ServeFlags.model)
    var options = try arguments.serviceOptions()
    var limits = HTTPLimits()
    limits.connections = arguments.value(ServeFlags.connections)
    limits.bodyBytes = arguments.value(ServeFlags.maxBody) << 20
    if options.memoryLimit == nil {
      limits.totalBodyBytes = max(limits.totalBodyBytes, 2 * limits.bodyBytes)
    } else {
      limits.totalBodyBytes = max(limits.bodyBytes, 64 << 20)
      // Four characters of base64 are three bytes of a picture.
      options.requestBytes = limits.totalBodyBytes / 4 * 7
    }
    service = Service(options: options)
    server = service.server(limits: limits)
  }

  /// Listens at once, so that a load balancer hears that the model is loading, and answers when it is loaded.
  func run() throws -> ExitCode {
    // Files that are no model are said before anything listens.
    let options = try arguments.modelOptions()
    _ = try MemoryPlan(path: path, projector: arguments[ServeFlags.projector], options: options)
    let addresses = try listen()
    let signals = stopSignals()
    defer { for signal in signals { signal.cancel() } }
    let trimming = memoryTrimming()
    defer { trimming.cancel() }
    let failure = LoadFailure()
    DispatchQueue(label: "occam.serve.load", qos: .userInitiated).async {
      do {
        let model = try VisionLanguageModel(
          path: path, projector: arguments[ServeFlags.projector], options: options)
        for note in model.notes { Terminal.error("occam-serve: \(note)\n") }
        guard try service.begin(with: model) else { return }
        Terminal.error("occam-serve: ready, \(model.kernel), \(model.threads) threads; \(addresses)\n")
        try SocketActivation.notify("READY=1")
      } catch {
        failure.error.withLock { $0 = error }
        server.stop()
      }
    }
    server.run()
    if let error = failure.error.withLock({ $0 }) { throw error }
    return .success
  }

  /// - Returns: where, for people.
  private func listen() throws -> String {
    let inherited = try SocketActivation.descriptors()
    if !inherited.isEmpty {
      for descriptor in inherited { try server.listen(.descriptor(descriptor)) }
      return "listening on \(inherited.count) sockets of the service manager"
    }
    if let path = arguments[ServeFlags.unix] {
      try server.listen(.unix(path: path))
      return "listening on \(path)"
    }
    // Where any port will do, all hosts have the same.
    var port = UInt16(arguments.value(ServeFlags.port))
    var addresses: [String] = []
    for host in Serve.list(arguments.value(ServeFlags.host)) {
      try server.listen(.tcp(host: host, port: port))
      port = server.ports.first ?? port
      addresses.append("http://\(HTTPAddress.tcp(host: host, port: port))")
    }
    guard !addresses.isEmpty else { throw UsageError.invalid("--host names none") }
    let text = "listening on \(addresses.joined(separator: ", "))"
    Terminal.error("occam-serve: loading; \(text)\n")
    return text
  }

  /// The parts of a flag's value between commas.
  fileprivate static func list(_ text: String) -> [String] {
    text.split(separator: ",").map { part in
      var part = part.drop { $0 == " " }
      while part.last == " " { part.removeLast() }
      return String(part)
    }.filter { !$0.isEmpty }
  }

  /// Gives free memory back to the system when nobody is at work and something was done since.
  private func memoryTrimming() -> any DispatchSourceTimer {
    let timer = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "occam.serve.memory", qos: .utility))
    let trimmed = Count()
    timer.schedule(deadline: .now() + 1, repeating: 1, leeway: .milliseconds(200))
    timer.setEventHandler {
      guard let answers = service.answersWhenIdle, answers != trimmed.value else { return }
      trimmed.value = answers
      Allocator.trim()
    }
    timer.resume()
    return timer
  }

  /// The first SIGTERM or SIGINT lets replies at work end, the second ends the process.
  private func stopSignals() -> [any DispatchSourceSignal] {
    let seconds = Double(arguments.value(ServeFlags.drain))
    let delay = Double(arguments.value(ServeFlags.drainDelay))
    let queue = DispatchQueue(label: "occam.serve.signals")
    let count = Count()
    let numbers = [SIGTERM, SIGINT]
    // The sources take a moment to stand: until then a signal waits, neither lost nor the end of the process.
    var held = sigset_t()
    sigemptyset(&held)
    for number in numbers { sigaddset(&held, number) }
    pthread_sigmask(SIG_BLOCK, &held, nil)
    return numbers.map { number in
      let source = DispatchSource.makeSignalSource(signal: number, queue: queue)
      source.setEventHandler {
        count.value += 1
        guard count.value == 1 else { _exit(128 + number) }
        Terminal.error("occam-serve: stopping; replies at work have \(Int(seconds)) s\n")
        try? SocketActivation.notify("STOPPING=1")
        if delay > 0 { service.leave() }
        DispatchQueue.global().asyncAfter(deadline: .now() + delay) {
          _ = service.drain(seconds: seconds)
          // Answers that are written but not yet sent.
          server.drain(seconds: 5)
        }
      }
      source.resume()
      return source
    }
  }
}

/// Written on the loading thread, read where the server ended, which may have been for another reason.
private final class LoadFailure: Sendable { let error = Mutex<(any Error)?>(nil) }

/// Touched on one queue only.
private final class Count: @unchecked Sendable { var value = 0 }

extension Arguments {
  fileprivate func modelOptions() throws -> ModelOptions {
    var options = ModelOptions(threads: self[ServeFlags.threads], sidecar: self[ServeFlags.sidecar])
    options.imageMinTokens = self[ServeFlags.imageMinTokens]
    options.imageMaxTokens = self[ServeFlags.imageMaxTokens]
    options.packCache = self[LoadingFlags.packCache]
    options.packCacheBytes = value(LoadingFlags.packCacheSize) << 20
    options.lowMemory = self[LoadingFlags.lowMemory]
    options.chatTemplate = self[ServeFlags.chatTemplate]
    options.draftModel = self[ServeFlags.drafts.model]
    if let path = self[ServeFlags.chatTemplateFile] {
      guard options.chatTemplate == nil else {
        throw UsageError.invalid("--chat-template and --chat-template-file exclude each other")
      }
      options.chatTemplate = try TextFile.read(path)
    }
    return options
  }

  fileprivate func serviceOptions() throws -> ServiceOptions {
    var options = ServiceOptions()
    options.aliases = Serve.list(self[ServeFlags.alias] ?? "")
    options.tags = Serve.list(self[ServeFlags.tags] ?? "")
    options.apiKeys = all(ServeFlags.apiKey)
    if let path = self[ServeFlags.apiKeyFile] {
      let keys = try TextFile.lines(path)
      guard !keys.isEmpty else { throw UsageError.invalid("--api-key-file \(path): holds no key") }
      options.apiKeys += keys
    }
    if options.apiKeys.contains("") {
      throw UsageError.invalid("--api-key: an empty key would open the service to all")
    }
    options.mediaPath = self[ServeFlags.mediaPath]
    options.allowedOrigin = self[ServeFlags.cors]
    options.metricsCompat = self[ServeFlags.metricsCompat]
    options.parallel = value(ServeFlags.parallel)
    options.queue = value(ServeFlags.queue)
    options.imageCacheBytes = value(ServeFlags.imageCache) << 20
    options.memoryLimit = self[ServeFlags.memory].map { $0 << 20 } ?? OccamProcess.groupLimitBytes
    let (tokens, seed) = (value(ServeFlags.tokens), value(ServeFlags.seed))
    if tokens >= 0 { options.defaults.maxTokens = tokens }
    options.defaults.temperature = value(ServeFlags.temperature)
    if seed >= 0 { options.seed = UInt64(seed) }
    options.defaults.ignoresEndOfText = self[ServeFlags.ignoreEOS]
    options.defaults.templateVariables = self[ServeFlags.templateVariables]
    options.showsSlots = !self[ServeFlags.noSlots]
    options.isVerbose = self[ServeFlags.verbose]
    options.defaults.pruning.enabled = !self[ServeFlags.noPrune]
    options.defaults.speculation.lookup = self[ServeFlags.drafts.lookup]
    options.defaults.speculation.maxTokens = value(ServeFlags.drafts.most)
    options.defaults.speculation.minTokens = value(ServeFlags.drafts.least)
    options.defaults.speculation.minProbability = value(ServeFlags.drafts.minProbability)
    let context = value(ServeFlags.context)
    options.session = SessionOptions(
      contextLength: context == 0 ? nil : context, keyFormat: value(ServeFlags.cache.keys),
      valueFormat: value(ServeFlags.cache.values))
    if !self[ServeFlags.noPage] { options.page = PackageResources.index_html }
    return options
  }
}
