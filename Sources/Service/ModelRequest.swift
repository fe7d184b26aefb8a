import Occam
import OccamCore
import OccamHTTP

/// A request that the model is needed for, read and on its way to an answer.
struct ModelRequest: Sendable {
  let service: Service
  let ready: Service.Ready
  let exchange: HTTPExchange
  let fields: Fields
  let pictures: PictureReference

  init(service: Service, ready: Service.Ready, exchange: HTTPExchange, fields: Fields) {
    self.service = service
    self.ready = ready
    self.exchange = exchange
    self.fields = fields
    // Each picture needs a token at least.
    pictures = PictureReference(
      mediaPath: service.options.mediaPath, countLimit: service.contextLength(ready), fileLimit: 80 << 20)
  }

  var chat: ChatFields { ChatFields(fields: fields, pictures: pictures) }

  /// UTF-8 bytes of the name that a client may give the model: every event of a stream repeats it.
  private static let nameLimit = 256

  func identity(_ prefix: String) throws(ServiceError) -> ReplyIdentity {
    let name = try fields.string("model")
    if let count = name?.utf8.count, count > ModelRequest.nameLimit {
      throw .invalid("'model' has \(count) bytes, more than \(ModelRequest.nameLimit)")
    }
    return ReplyIdentity(prefix: prefix, model: name ?? ready.name, created: service.now)
  }

  func wantsUsage() throws(ServiceError) -> Bool {
    try fields.object("stream_options")?.bool("include_usage") ?? false
  }

  /// Replies to one prompt that a request may ask for; all of a request's prompts together may bring as many.
  static let choiceLimit = 128

  func choices() throws(ServiceError) -> Int { try fields.int("n", in: 1...ModelRequest.choiceLimit) ?? 1 }

  /// What the request says of sampling; the seed of the i-th choice is i higher.
  func generationOptions(limits: [String]) throws(ServiceError) -> GenerationOptions {
    let model = ready.model
    return try GenerationFields(
      fields: fields, seed: service.options.seed, tokenize: { model.tokenize($0, parseSpecial: false) }
    ).options(service.options.defaults, limits: limits)
  }

  // MARK: Conversations

  func chatCompletion() throws(ServiceError) {
    try checkContinuation()
    let choices = try choices()
    var options = try chatOptions()
    let wantsLogprobs = try fields.bool("logprobs") ?? false
    if wantsLogprobs { options.logprobs = try fields.int("top_logprobs", in: 0...20) ?? 0 }
    let plan = try chatPlan(options)
    let (identity, wantsUsage) = (try identity("chatcmpl-"), try wantsUsage())
    let verbose = try verboseShape(plan)
    let shapes = (0..<choices).map { index in
      ChatShape(
        identity, plan.reader, index: index, wantsUsage: wantsUsage, wantsLogprobs: wantsLogprobs, verbose: verbose)
    }
    try converse(plan) { _ in shapes }
  }

  func chatPlan(_ options: GenerationOptions) throws(ServiceError) -> ReplyPlan {
    try plan(
      try chat.messages(), options,
      tools: try ToolUse(fields, try chat.tools(), template: ready.model.facts.chatTemplate),
      thinks: try fields.string("reasoning_effort") == "none" ? false : nil,
      showsThoughts: try fields.string("reasoning_format") == "none")
  }

  /// A last message of the assistant's is gone on with anyway; vLLM's fields for that may not contradict each other.
  private func checkContinuation() throws(ServiceError) {
    let goesOn = try fields.bool("continue_final_message") ?? false
    guard goesOn, try fields.bool("add_generation_prompt") ?? false else { return }
    throw .invalid("'continue_final_message' and 'add_generation_prompt' exclude each other")
  }

  /// nil unless the request or the service wants the prompt told.
  private func verboseShape(_ plan: ReplyPlan) throws(ServiceError) -> LlamaCompletionShape? {
    guard try fields.bool("verbose") ?? service.options.isVerbose else { return nil }
    let text = try occam { () throws(OccamError) in try ready.model.promptText(plan.messages, options: plan.options) }
    return LlamaCompletionShape(
      model: ready.name, plan.options, settings: Service.settings(plan.options, ready.model), prompt: text)
  }

  func response() throws(ServiceError) {
    let asked = ResponsesFields(fields: fields, pictures: pictures)
    var options = try chatOptions(limits: ["max_output_tokens"])
    if let format = try fields.object("text")?.object("format") {
      options.format = try GenerationFields.format(format) ?? .text
    }
    let tools = try asked.tools()
    let plan = try plan(
      try asked.messages(), options, tools: try ToolUse(fields, tools, template: ready.model.facts.chatTemplate),
      thinks: try asked.thinks())
    let identity = try identity("resp_")
    try converse(plan) { _ in [ResponsesShape(identity, plan.reader, request: fields)] }
  }

  func message() throws(ServiceError) {
    let asked = MessagesFields(fields: fields, pictures: pictures)
    var options = try chatOptions(limits: ["max_tokens"])
    options.stop = try GenerationFields(fields: fields).stops("stop_sequences") ?? options.stop
    let plan = try messagePlan(asked, options)
    let identity = try identity("msg_")
    try converse(plan) { cost in
      [MessagesShape(identity, plan.reader, promptTokens: cost.promptTokens, stops: plan.options.stop)]
    }
  }

  func messagePlan(_ asked: MessagesFields, _ options: GenerationOptions) throws(ServiceError) -> ReplyPlan {
    try plan(
      try asked.messages(), options, tools: try asked.toolUse(template: ready.model.facts.chatTemplate),
      thinks: try asked.thinks())
  }

  /// Refuses what no context can hold before templates and tokenizers see it.
  private func plan(
    _ messages: [Message], _ options: GenerationOptions, tools: ToolUse?, thinks: Bool?, showsThoughts: Bool = false
  ) throws(ServiceError) -> ReplyPlan {
    let bytes = messages.reduce(0) { $0 + $1.textBytes } + (tools?.textBytes ?? 0)
    try checkLength(bytes + (options.templateVariables?.utf8.count ?? 0))
    return try ReplyPlan(
      ready.model, messages, options, tools: tools, thinks: thinks, showsThoughts: showsThoughts)
  }

  func chatOptions(
    limits: [String] = ["max_completion_tokens", "max_tokens", "n_predict"]
  ) throws(ServiceError) -> GenerationOptions {
    var options = try generationOptions(limits: limits)
    options.templateVariables = try fields.object("chat_template_kwargs")?.value.text() ?? options.templateVariables
    return options
  }

  /// - Parameter shapes: one a choice.
  private func converse(
    _ plan: ReplyPlan, _ shapes: (ConversationCost) -> [any ReplyShape]
  ) throws(ServiceError) {
    // Refuses what cannot be answered before it waits for a slot, as pictures that are none.
    let cost = try occam { () throws(OccamError) in
      try ready.model.cost(of: plan.messages, options: plan.options, session: service.options.session)
    }
    let (messages, limited) = (plan.messages, try limited(plan.options, cost))
    let replies = shapes(cost).enumerated().map { index, shape in
      let options = limited.seeded(index)
      return GenerationRun.Reply(shape: shape, repeatsPrompt: index > 0) {
        session, cancellation, onEvent throws(OccamError) in
        try session.respond(to: messages, options: options, cancellation: cancellation, onEvent: onEvent)
      }
    }
    try run(messages, replies, limited, bytes: cost.bytes(replyTokens: limited.maxTokens))
  }

  /// Tokens of a text take about a second a megabyte: what is longer than any that fits is refused before.
  func checkLength(_ bytes: Int) throws(ServiceError) {
    guard bytes <= ready.textLimit else {
      let context = service.contextLength(ready)
      throw .tooLong(
        "\(bytes) bytes of text are more than the context's \(context) tokens hold", tokens: context, context: context)
    }
  }

  /// Refuses a prompt that can never be answered here. A reply without a limit gets what fits.
  func limited(_ options: GenerationOptions, _ cost: ConversationCost) throws(ServiceError) -> GenerationOptions {
    let context = service.contextLength(ready)
    guard cost.promptTokens < context else {
      throw .tooLong(
        "the prompt needs \(cost.promptTokens) tokens and one to answer, which exceeds the available context size "
          + "of \(context) tokens", tokens: cost.promptTokens, context: context)
    }
    let limit = ready.pool.memoryLimit
    var options = options
    if options.maxTokens == nil, cost.bytes(replyTokens: nil) > limit {
      options.maxTokens = max(cost.replyTokens(within: limit), 1)
    }
    let bytes = cost.bytes(replyTokens: options.maxTokens)
    guard bytes <= limit else {
      throw ServiceError(
        413, "exceed_memory_error",
        "the request may need \(bytes >> 20) MiB of memory, and this service has \(limit >> 20) MiB for all")
    }
    return options
  }

  // MARK: Computing

  func occam<R>(_ body: () throws(OccamError) -> R) throws(ServiceError) -> R {
    do throws(OccamError) { return try body() } catch { throw ServiceError(error) }
  }

  /// - Parameters:
  ///   - replies: one or more, given one after another.
  ///   - bytes: what each of them may take at most.
  func run(
    _ messages: [Message], _ replies: [GenerationRun.Reply], _ options: GenerationOptions, bytes: Int
  ) throws(ServiceError) {
    try self.occam { () throws(OccamError) in try ready.model.prepare(options.format) }
    let occam = try fields.object("occam")
    var form = GenerationRun.Form()
    form.isStreamed = try fields.bool("stream") ?? false
    form.tokens = try fields.bool("return_tokens") ?? false || options.logprobs != nil
    form.keepMap = try occam?.bool("keep_map") ?? false
    form.progress = try occam?.bool("progress") ?? false
    form.promptProgress = try fields.bool("return_progress") ?? false
    form.timings = try fields.bool("timings_per_token") ?? false
    let run = GenerationRun(service: service, exchange: exchange, replies, form)
    let pool = ready.pool
    switch pool.submit(messages, bytes: bytes, run: { run.start($0) }) {
    case .accepted(let job):
      exchange.onAbandon {
        run.cancellation.cancel()
        pool.withdraw(job)
      }
    case .full, .tooLarge: throw .busy
    case .closed: throw .draining
    }
  }
}

extension GenerationOptions {
  /// For the i-th of several choices: a seed of its own.
  func seeded(_ index: Int) -> GenerationOptions {
    var options = self
    options.seed &+= UInt64(index)
    return options
  }
}

extension Message {
  /// Of all that a template may write.
  fileprivate var textBytes: Int {
    let texts = content.map { if case .text(let text) = $0 { text } else { "" } } + [reasoning, name, toolCallID]
    return (texts + toolCalls.flatMap { [$0.id, $0.name, $0.arguments] }).reduce(0) { $0 + ($1?.utf8.count ?? 0) }
  }
}

extension ToolUse {
  fileprivate var textBytes: Int {
    tools.reduce(0) { $0 + $1.name.utf8.count + $1.description.utf8.count + $1.parameters.utf8.count }
  }
}
