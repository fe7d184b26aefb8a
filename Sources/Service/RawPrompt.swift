import Occam
import OccamCore

/// A prompt that no template is put around, as `/completion` and `/v1/completions` take it.
struct RawPrompt: Sendable {
  let parts: [PromptPart]
  let images: [ImageSource]

  /// A text; `{"prompt_string": ..., "multimodal_data": [base64, ...]}` with a marker for each picture; tokens, or tokens
  /// and texts in one array; or an array of all these for several prompts.
  static func list(_ value: JSONValue, _ pictures: PictureReference) throws(ServiceError) -> [RawPrompt] {
    guard let entries = value.arrayValue, !entries.contains(where: { $0.intValue != nil }) else {
      return [try RawPrompt(value, "prompt", pictures)]
    }
    guard !entries.isEmpty else { throw .invalid("'prompt' is empty") }
    var prompts: [RawPrompt] = []
    for (index, entry) in entries.enumerated() {
      prompts.append(try RawPrompt(entry, "prompt[\(index)]", pictures))
    }
    return prompts
  }

  private init(_ value: JSONValue, _ name: String, _ pictures: PictureReference) throws(ServiceError) {
    if let text = value.stringValue {
      (parts, images) = ([.text(text)], [])
    } else if let entries = value.arrayValue {
      (parts, images) = (try RawPrompt.parts(entries, name), [])
    } else if case .object = value {
      let fields = try Fields(value, path: "\(name).")
      parts = [.text(try fields.requiredString("prompt_string"))]
      var images: [ImageSource] = []
      for (index, data) in (try fields.strings("multimodal_data") ?? []).enumerated() {
        images.append(try pictures.source(data, field: "\(name).multimodal_data[\(index)]", allowsBare: true))
      }
      self.images = images
    } else {
      throw .invalid("'\(name)' is \(value.kindName), not a string, an array of tokens, or an object")
    }
  }

  private static func parts(_ entries: [JSONValue], _ name: String) throws(ServiceError) -> [PromptPart] {
    guard !entries.isEmpty else { throw .invalid("'\(name)' is empty") }
    var parts: [PromptPart] = []
    var tokens: [Int32] = []
    for entry in entries {
      if let id = entry.intValue.flatMap({ Int32(exactly: $0) }) {
        tokens.append(id)
      } else if let text = entry.stringValue {
        if !tokens.isEmpty { parts.append(.tokens(tokens)) }
        tokens = []
        parts.append(.text(text))
      } else {
        throw .invalid("'\(name)' holds \(entry.kindName), not tokens and texts")
      }
    }
    return tokens.isEmpty ? parts : parts + [.tokens(tokens)]
  }

  var textBytes: Int { parts.reduce(0) { if case .text(let text) = $1 { $0 + text.utf8.count } else { $0 } } }

  /// The prompt as the model reads it, special tokens included; markers stand for pictures.
  func shown(_ model: VisionLanguageModel) -> String {
    if !images.isEmpty, case .text(let text) = parts.first { return text }
    let ids = parts.enumerated().flatMap { index, part in
      switch part {
      case .text(let text): model.tokenize(text, addSpecial: index == 0)
      case .tokens(let ids): ids
      }
    }
    return model.detokenize(ids)
  }
}

extension ModelRequest {
  func completion() throws(ServiceError) {
    let (prompts, choices) = try rawPrompts()
    var options = try generationOptions(limits: ["max_tokens", "n_predict"])
    for name in ["n_probs", "logprobs"] {
      if let count = try fields.int(name, in: 0...100) { options.logprobs = count > 0 ? count : nil }
    }
    let (identity, wantsUsage, wantsLogprobs) = (try identity("cmpl-"), try wantsUsage(), options.logprobs != nil)
    try complete(prompts, choices, options) { _ in
      { index, _ in
        CompletionShape(identity, index: index, wantsUsage: wantsUsage, wantsLogprobs: wantsLogprobs)
      }
    }
  }

  func llamaCompletion() throws(ServiceError) {
    let (prompts, choices) = try rawPrompts()
    var options = try generationOptions(limits: ["n_predict", "max_tokens"])
    if let count = try fields.int("n_probs", in: 0...100), count > 0 { options.logprobs = count }
    options.logprobsBehindSampling = try fields.bool("post_sampling_probs") ?? false
    var form = LlamaCompletionShape.Form()
    form.probabilities = options.logprobs != nil
    form.areBehindSampling = options.logprobsBehindSampling
    form.tokens = try fields.bool("return_tokens") ?? false
    form.fields = try fields.strings("response_fields", atMost: 64, bytes: 256) ?? []
    // The same member twice would be no JSON object; each may hold the whole prompt.
    guard Set(form.fields).count == form.fields.count, !form.fields.contains("") else {
      throw .invalid("'response_fields' names a field twice, or none")
    }
    let (given, asked) = (options, form)
    try complete(prompts, choices, options) { prompt in
      let shown = prompt.shown(ready.model)
      return { index, choice in
        let options = given.seeded(choice)
        return LlamaCompletionShape(
          model: ready.name, options, settings: Service.settings(options, ready.model), prompt: shown, index: index,
          asked)
      }
    }
  }

  /// The prompts, and how many replies each of them gets.
  private func rawPrompts() throws(ServiceError) -> ([RawPrompt], Int) {
    let choices = try choices()
    let prompts = try RawPrompt.list(try fields.require("prompt", fields["prompt"]), pictures)
    guard prompts.count * choices <= ModelRequest.choiceLimit else {
      throw .invalid("\(prompts.count) prompts with \(choices) choices each are more than \(ModelRequest.choiceLimit)")
    }
    for prompt in prompts { try checkLength(prompt.textBytes) }
    return (prompts, choices)
  }

  /// Gives the shape of a reply to one prompt, from its number among all replies and among those to the prompt.
  private typealias MakeShape = (_ index: Int, _ choice: Int) -> any ReplyShape

  private func complete(
    _ prompts: [RawPrompt], _ choices: Int, _ options: GenerationOptions, _ shapes: (RawPrompt) -> MakeShape
  ) throws(ServiceError) {
    var replies: [GenerationRun.Reply] = []
    var bytes = 0
    for prompt in prompts {
      let cost = try occam { () throws(OccamError) in
        try ready.model.cost(
          raw: prompt.parts, images: prompt.images, options: options, session: service.options.session)
      }
      let limited = try limited(options, cost)
      bytes = max(bytes, cost.bytes(replyTokens: limited.maxTokens))
      let shape = shapes(prompt)
      for choice in 0..<choices {
        let options = limited.seeded(choice)
        replies.append(
          GenerationRun.Reply(shape: shape(replies.count, choice), repeatsPrompt: choice > 0) {
            session, cancellation, onEvent throws(OccamError) in
            try session.respond(
              toRaw: prompt.parts, images: prompt.images, options: options, cancellation: cancellation,
              onEvent: onEvent)
          })
      }
    }
    try run([], replies, options, bytes: bytes)
  }
}
