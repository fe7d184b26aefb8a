import Glibc
import Occam
import OccamCore

/// POST /v1/chat/completions.
final class ChatShape: ReplyShape {
  private let identity: ReplyIdentity
  private let wantsUsage: Bool
  private let wantsLogprobs: Bool
  private var reader: ReplyReader
  /// Among the choices of one request.
  private let index: Int
  /// Tells the prompt and the settings, for whoever looks into them; nil: nobody does.
  private let verbose: LlamaCompletionShape?
  /// Calls that a stream has told.
  private var calls = 0

  init(
    _ identity: ReplyIdentity, _ reader: ReplyReader, index: Int = 0, wantsUsage: Bool, wantsLogprobs: Bool,
    verbose: LlamaCompletionShape? = nil
  ) {
    self.index = index
    self.verbose = verbose
    self.identity = identity
    self.reader = reader
    self.wantsUsage = wantsUsage
    self.wantsLogprobs = wantsLogprobs
  }

  func start() -> [ReplyEvent] { [chunk(["role": "assistant", "content": nil])] }

  func token(_ token: GeneratedToken) -> [ReplyEvent] {
    var events = reader.push(token.text).map { delta($0) }
    guard wantsLogprobs else { return events.map { chunk($0) } }
    let first = events.isEmpty ? ["content": ""] : events.removeFirst()
    return [chunk(first, logprobs: [token])] + events.map { chunk($0) }
  }

  func end(_ outcome: Outcome) -> [ReplyEvent] {
    let extras = ChatShape.extras(outcome)
    var events = reader.finish().map { chunk(delta($0)) }
    let told = verbose.map { [JSONMember("__verbose", $0.whole(outcome))] } ?? []
    let reason = calls > 0 ? "tool_calls" : outcome.finishReason
    events.append(chunk([:], finish: reason, (wantsUsage ? [] : extras) + told))
    guard wantsUsage else { return events + [.done] }
    let usage = object("chat.completion.chunk", [], [JSONMember("usage", outcome.usage)] + extras)
    return events + [ReplyEvent(usage, isClosing: true), .done]
  }

  func whole(_ outcome: Outcome) -> JSONValue {
    let parts = reader.parts(of: outcome.text)
    let (text, thought, calls) = (parts.text, parts.thought, parts.calls)
    let content: JSONValue = text.isEmpty && !calls.isEmpty ? .null : .string(text)
    var message = [JSONMember("role", "assistant"), JSONMember("content", content)]
    if !thought.isEmpty { message.append(JSONMember("reasoning_content", .string(thought))) }
    if !calls.isEmpty { message.append(JSONMember("tool_calls", .array(calls.map { ChatShape.json($0) }))) }
    var choice = [
      JSONMember("finish_reason", .string(calls.isEmpty ? outcome.finishReason : "tool_calls")),
      JSONMember("index", .integer(index)), JSONMember("message", .object(message)),
    ]
    if wantsLogprobs { choice.append(JSONMember("logprobs", ChatShape.logprobs(outcome.tokens))) }
    let told = verbose.map { [JSONMember("__verbose", $0.whole(outcome))] } ?? []
    return object(
      "chat.completion", [.object(choice)], [JSONMember("usage", outcome.usage)] + ChatShape.extras(outcome) + told)
  }

  private func delta(_ part: ReplyPart) -> JSONValue {
    switch part {
    case .thought(let text): return ["reasoning_content": .string(text)]
    case .text(let text): return ["content": .string(text)]
    case .call(let call):
      defer { calls += 1 }
      return ["tool_calls": [ChatShape.json(call, index: calls)]]
    }
  }

  /// - Parameter index: in a stream.
  private static func json(_ call: ToolCall, index: Int? = nil) -> JSONValue {
    let function: JSONValue = ["name": .string(call.name), "arguments": .string(call.arguments)]
    let members = [
      JSONMember("id", .string(call.id)), JSONMember("type", "function"), JSONMember("function", function),
    ]
    return .object((index.map { [JSONMember("index", .integer($0))] } ?? []) + members)
  }

  /// llama-server's timings, and what pruning did.
  static func extras(_ outcome: Outcome) -> [JSONMember] {
    [JSONMember("timings", outcome.timings)] + (outcome.pruning.map { [JSONMember("occam", $0)] } ?? [])
  }

  private func chunk(
    _ delta: JSONValue, finish: String? = nil, _ members: [JSONMember] = [], logprobs: [GeneratedToken]? = nil
  ) -> ReplyEvent {
    var choice = [
      JSONMember("finish_reason", finish.map { .string($0) } ?? .null), JSONMember("index", .integer(index)),
      JSONMember("delta", delta),
    ]
    if let logprobs { choice.append(JSONMember("logprobs", ChatShape.logprobs(logprobs))) }
    return ReplyEvent(object("chat.completion.chunk", [.object(choice)], members))
  }

  private func object(_ kind: String, _ choices: [JSONValue], _ members: [JSONMember]) -> JSONValue {
    .object(
      [
        JSONMember("choices", .array(choices)), JSONMember("created", .integer(identity.created)),
        JSONMember("id", .string(identity.id)), JSONMember("model", .string(identity.model)),
        JSONMember("system_fingerprint", .string(buildName)), JSONMember("object", .string(kind)),
      ] + members)
  }

  static func logprobs(_ tokens: [GeneratedToken]) -> JSONValue {
    ["content": .array(tokens.filter { $0.id >= 0 }.map { logprob($0) })]
  }

  /// - Parameter asProbability: itself instead of its logarithm, as llama-server says what it drew by.
  static func logprob(_ token: GeneratedToken, asProbability: Bool = false) -> JSONValue {
    func entry(_ id: Int32, _ text: String, _ logprob: Float?) -> [JSONMember] {
      let logprob = max(logprob ?? 0, -9999)
      return [
        JSONMember("id", .integer(Int(id))), JSONMember("token", .string(text)),
        asProbability ? JSONMember("prob", .number(exp(Double(logprob)))) : JSONMember("logprob", .float(logprob)),
        JSONMember("bytes", .array(text.utf8.map { .integer(Int($0)) })),
      ]
    }
    let top = token.top.map { JSONValue.object(entry($0.id, $0.text, $0.logprob)) }
    return .object(
      entry(token.id, token.text, token.logprob) + [
        JSONMember(asProbability ? "top_probs" : "top_logprobs", .array(top))
      ])
  }
}
