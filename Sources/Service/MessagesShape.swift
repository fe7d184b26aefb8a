import Occam
import OccamCore

/// POST /v1/messages: how it answers. A reply is a list of blocks: thinking, text, uses of tools, in the order they come.
final class MessagesShape: ReplyShape {
  private enum Kind { case thinking, text }

  private let identity: ReplyIdentity
  private var reader: ReplyReader
  private let promptTokens: Int
  private let stops: [String]
  /// Blocks of the stream that were begun.
  private var count = 0
  /// The last of them, while it grows.
  private var open: Kind?
  private var hasCalls = false

  /// - Parameters:
  ///   - promptTokens: a stream begins with them.
  ///   - stops: that the request names; a reply may end at others, of the model's own.
  init(_ identity: ReplyIdentity, _ reader: ReplyReader, promptTokens: Int, stops: [String]) {
    self.stops = stops
    self.identity = identity
    self.reader = reader
    self.promptTokens = promptTokens
  }

  // MARK: A stream

  func start() -> [ReplyEvent] {
    let message = object([], stop: nil, stopText: nil, usage: MessagesShape.usage(input: promptTokens))
    return [event("message_start", ["message": message])]
  }

  func token(_ token: GeneratedToken) -> [ReplyEvent] { reader.push(token.text).flatMap(events) }

  func end(_ outcome: Outcome) -> [ReplyEvent] {
    var events = reader.finish().flatMap(events)
    if count == 0 { events += begin(.text) }
    events += close()
    let delta: JSONValue = [
      "stop_reason": .string(reason(outcome, hasCalls)),
      "stop_sequence": stopText(outcome).map { .string($0) } ?? .null,
    ]
    let members = [JSONMember("delta", delta), JSONMember("usage", MessagesShape.usage(outcome))]
    return events + [event("message_delta", .object(members + outcome.pruningMember)), event("message_stop", [:])]
  }

  func progress(_ members: [JSONMember]) -> ReplyEvent { event("ping", .object(members)) }

  /// Anthropic's clients skip events without a name.
  func failure(_ error: ServiceError) -> ReplyEvent { ReplyEvent(error.json, name: "error") }

  private func events(_ part: ReplyPart) -> [ReplyEvent] {
    switch part {
    case .thought(let text): return grow(.thinking, ["type": "thinking_delta", "thinking": .string(text)])
    case .text(let text): return grow(.text, ["type": "text_delta", "text": .string(text)])
    case .call(let call):
      hasCalls = true
      let block = MessagesShape.block(call, input: [:])
      let delta: JSONValue = ["type": "input_json_delta", "partial_json": .string(call.arguments)]
      return close() + [
        start(block), event("content_block_delta", ["index": .integer(count - 1), "delta": delta]), stop(),
      ]
    }
  }

  private func grow(_ kind: Kind, _ delta: JSONValue) -> [ReplyEvent] {
    let events = open == kind ? [] : close() + begin(kind)
    return events + [event("content_block_delta", ["index": .integer(count - 1), "delta": delta])]
  }

  private func begin(_ kind: Kind) -> [ReplyEvent] {
    open = kind
    return [start(MessagesShape.block(kind == .text ? .text("") : .thought("")))]
  }

  private func close() -> [ReplyEvent] {
    defer { open = nil }
    guard open == .thinking else { return open == nil ? [] : [stop()] }
    // Clients wait for a thought's signature before its end.
    let delta: JSONValue = ["type": "signature_delta", "signature": ""]
    return [event("content_block_delta", ["index": .integer(count - 1), "delta": delta]), stop()]
  }

  private func start(_ block: JSONValue) -> ReplyEvent {
    defer { count += 1 }
    return event("content_block_start", ["index": .integer(count), "content_block": block])
  }

  private func stop() -> ReplyEvent { event("content_block_stop", ["index": .integer(count - 1)]) }

  // MARK: Objects

  func whole(_ outcome: Outcome) -> JSONValue {
    let parts = reader.parts(of: outcome.text)
    return object(
      parts.isEmpty ? [MessagesShape.block(.text(""))] : parts.map(MessagesShape.block),
      stop: reason(outcome, !parts.calls.isEmpty), stopText: stopText(outcome), usage: MessagesShape.usage(outcome),
      outcome.pruningMember)
  }

  /// What the KV cache held already is no input: the sum of both is the prompt.
  private static func usage(input: Int, cached: Int = 0, output: Int = 0) -> JSONValue {
    [
      "input_tokens": .integer(input - cached), "cache_creation_input_tokens": 0,
      "cache_read_input_tokens": .integer(cached), "output_tokens": .integer(output),
    ]
  }

  private static func usage(_ outcome: Outcome) -> JSONValue {
    let metrics = outcome.metrics
    return usage(input: metrics.promptTokens, cached: metrics.cachedTokens, output: metrics.generatedTokens)
  }

  private static func block(_ part: ReplyPart) -> JSONValue {
    switch part {
    // Thoughts are signed by those who must trust them again; nobody does here.
    case .thought(let text): ["type": "thinking", "thinking": .string(text), "signature": ""]
    case .text(let text): ["type": "text", "text": .string(text)]
    case .call(let call): block(call, input: (try? JSONValue(parsing: call.arguments)) ?? [:])
    }
  }

  private static func block(_ call: ToolCall, input: JSONValue) -> JSONValue {
    ["type": "tool_use", "id": .string(call.id), "name": .string(call.name), "input": input]
  }

  private func reason(_ outcome: Outcome, _ hasCalls: Bool) -> String {
    if hasCalls { return "tool_use" }
    return switch outcome.metrics.stop {
    case .length: "max_tokens"
    case .stop where stopText(outcome) != nil: "stop_sequence"
    case .stop, .eos, .cancelled: "end_turn"
    }
  }

  private func stopText(_ outcome: Outcome) -> String? {
    outcome.metrics.stopText.flatMap { stops.contains($0) ? $0 : nil }
  }

  private func event(_ type: String, _ members: JSONValue) -> ReplyEvent {
    guard case .object(let members) = members else { return ReplyEvent(members, name: type) }
    return ReplyEvent(.object([JSONMember("type", .string(type))] + members), name: type)
  }

  private func object(
    _ content: [JSONValue], stop: String?, stopText: String?, usage: JSONValue, _ members: [JSONMember] = []
  ) -> JSONValue {
    .object(
      [
        JSONMember("id", .string(identity.id)), JSONMember("type", "message"), JSONMember("role", "assistant"),
        JSONMember("content", .array(content)), JSONMember("model", .string(identity.model)),
        JSONMember("stop_reason", stop.map { .string($0) } ?? .null),
        JSONMember("stop_sequence", stopText.map { .string($0) } ?? .null), JSONMember("usage", usage),
      ] + members)
  }
}
