import Occam
import OccamCore

/// POST /completion: llama-server's own.
final class LlamaCompletionShape: ReplyShape {
  /// What the request says of the reply's form.
  struct Form: Sendable {
    var probabilities = false
    /// The probabilities are those that tokens were drawn by.
    var areBehindSampling = false
    var tokens = false
    /// Paths as "generation_settings/n_predict": only these members, by these names; empty: all.
    var fields: [String] = []
  }

  private let model: String
  private let options: GenerationOptions
  private let settings: JSONValue
  private let prompt: String
  private let index: Int
  private let form: Form
  private var count = 0

  /// - Parameters:
  ///   - options: that the reply is made by. - settings: the same as JSON.
  ///   - index: among the replies to one request.
  init(
    model: String, _ options: GenerationOptions, settings: JSONValue, prompt: String, index: Int = 0,
    _ form: Form = Form()
  ) {
    self.model = model
    self.options = options
    self.settings = settings
    self.prompt = prompt
    self.index = index
    self.form = form
  }

  func start() -> [ReplyEvent] { [] }

  func token(_ token: GeneratedToken) -> [ReplyEvent] {
    count += 1
    guard !token.text.isEmpty || form.probabilities else { return [] }
    var members = partial(token.text, token.id < 0 ? [] : [.integer(Int(token.id))])
    if form.probabilities { members.append(probabilities([token])) }
    return [ReplyEvent(.object(members))]
  }

  func progress(_ members: [JSONMember]) -> ReplyEvent { ReplyEvent(.object(partial("", []) + members)) }

  private func partial(_ text: String, _ tokens: [JSONValue]) -> [JSONMember] {
    [
      JSONMember("index", .integer(index)), JSONMember("content", .string(text)), JSONMember("tokens", .array(tokens)),
      JSONMember("stop", false), JSONMember("id_slot", -1), JSONMember("tokens_predicted", .integer(count)),
    ]
  }

  func end(_ outcome: Outcome) -> [ReplyEvent] { [ReplyEvent(object(outcome, content: "", tokens: []))] }

  func whole(_ outcome: Outcome) -> JSONValue {
    object(outcome, content: outcome.text, tokens: form.tokens ? outcome.tokens : [], isWhole: true)
  }

  func joined(_ replies: [JSONValue]) -> JSONValue { .array(replies) }

  private func object(
    _ outcome: Outcome, content: String, tokens: [GeneratedToken], isWhole: Bool = false
  ) -> JSONValue {
    let metrics = outcome.metrics
    let stop =
      switch metrics.stop {
      case .eos: "eos"
      case .stop: "word"
      case .length: "limit"
      case .cancelled: "none"
      }
    var members = [
      JSONMember("index", .integer(index)), JSONMember("content", .string(content)),
      JSONMember("tokens", .array(tokens.filter { $0.id >= 0 }.map { .integer(Int($0.id)) })),
      JSONMember("id_slot", -1), JSONMember("stop", true), JSONMember("model", .string(model)),
      JSONMember("tokens_predicted", .integer(metrics.generatedTokens)),
      JSONMember("tokens_evaluated", .integer(metrics.promptTokens)), JSONMember("generation_settings", settings),
      JSONMember("prompt", .string(prompt)), JSONMember("has_new_line", .bool(outcome.text.contains("\n"))),
      JSONMember("truncated", .bool(outcome.isTruncated(limit: options.maxTokens))),
      JSONMember("stop_type", .string(stop)), JSONMember("stopping_word", .string(metrics.stopText ?? "")),
      JSONMember("tokens_cached", .integer(metrics.promptTokens + metrics.generatedTokens - 1)),
    ]
    if isWhole, form.probabilities { members.append(probabilities(outcome.tokens)) }
    return selected(.object(members + outcome.extras))
  }

  /// Paths that lead nowhere are left out.
  private func selected(_ reply: JSONValue) -> JSONValue {
    guard !form.fields.isEmpty else { return reply }
    return .object(
      form.fields.compactMap { path in
        path.split(separator: "/").reduce(Optional(reply)) { $0?[String($1)] }.map { JSONMember(path, $0) }
      })
  }

  private func probabilities(_ tokens: [GeneratedToken]) -> JSONMember {
    let list = tokens.filter { $0.id >= 0 }
      .map { $0.probability(asProbability: form.areBehindSampling) }
    return JSONMember("completion_probabilities", .array(list))
  }
}
