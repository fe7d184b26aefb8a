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
    _ identity: ReplyIdentity, _ reader: ReplyReader, index: Int, wantsUsage: Bool, wantsLogprobs: Bool,
    verbose: LlamaCompletionShape?
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
    let rest = reader.finish().map { chunk(delta($0)) }
    let reason = calls > 0 ? "tool_calls" : outcome.finishReason
    return rest
      + identity.end("chat.completion.chunk", outcome, wantsUsage: wantsUsage) { members in
        chunk([:], finish: reason, members + told(outcome))
      }
  }

  private func told(_ outcome: Outcome) -> [JSONMember] {
    verbose.map { [JSONMember("__verbose", $0.whole(outcome))] } ?? []
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
    if wantsLogprobs { choice.append(JSONMember("logprobs", outcome.tokens.logprobs)) }
    return identity.object(
      "chat.completion", [.object(choice)],
      [JSONMember("usage", outcome.usage)] + outcome.extras + told(outcome))
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

  private func chunk(
    _ delta: JSONValue, finish: String? = nil, _ members: [JSONMember] = [], logprobs: [GeneratedToken]? = nil
  ) -> ReplyEvent {
    var choice = [
      JSONMember("finish_reason", finish.map { .string($0) } ?? .null), JSONMember("index", .integer(index)),
      JSONMember("delta", delta),
    ]
    if let logprobs { choice.append(JSONMember("logprobs", logprobs.logprobs)) }
    return ReplyEvent(identity.object("chat.completion.chunk", [.object(choice)], members))
  }
}
