import Occam
import OccamCore

/// POST /v1/responses: how it answers. A reply is a list of items: thoughts, a message, calls, in the order they come.
final class ResponsesShape: ReplyShape {
  private enum Kind { case reasoning, message }

  private let identity: ReplyIdentity
  private var reader: ReplyReader
  /// The request's members that an answer repeats.
  private let request: [JSONMember]
  private var number = 0
  /// Items of the stream that are complete.
  private var items: [JSONValue] = []
  /// The item that is being streamed.
  private var open: (kind: Kind, id: String, text: String)?

  init(_ identity: ReplyIdentity, _ reader: ReplyReader, request: Fields) {
    self.identity = identity
    self.reader = reader
    self.request = [
      JSONMember("instructions", request["instructions"] ?? .null), JSONMember("tools", request["tools"] ?? []),
      JSONMember("tool_choice", request["tool_choice"] ?? "auto"),
      JSONMember("parallel_tool_calls", request["parallel_tool_calls"] ?? false),
    ]
  }

  // MARK: A stream

  func start() -> [ReplyEvent] {
    let response = object("in_progress", [], nil)
    return ["response.created", "response.in_progress"].map { event($0, [JSONMember("response", response)]) }
  }

  func token(_ token: GeneratedToken) -> [ReplyEvent] { reader.push(token.text).flatMap(events) }

  func end(_ outcome: Outcome) -> [ReplyEvent] {
    var events = reader.finish().flatMap(events)
    if items.isEmpty, open == nil { events += begin(.message) }
    let isCut = outcome.metrics.stop == .length
    events += close(ResponsesShape.status(outcome))
    let response = object(ResponsesShape.status(outcome), items, outcome)
    let members = [JSONMember("response", response), JSONMember("timings", outcome.timings)]
    return events + [event(isCut ? "response.incomplete" : "response.completed", members)]
  }

  private func events(_ part: ReplyPart) -> [ReplyEvent] {
    switch part {
    case .thought(let text): return grow(.reasoning, text)
    case .text(let text): return grow(.message, text)
    case .call(let call):
      var events = close()
      let (id, output) = (ReplyIdentity.random("fc_"), items.count)
      func event(_ type: String, _ members: [JSONMember]) -> ReplyEvent {
        self.event(type, [JSONMember("output_index", .integer(output))] + members)
      }
      let begun = ResponsesShape.item(call, id, "in_progress", arguments: "")
      events.append(event("response.output_item.added", [JSONMember("item", begun)]))
      for (type, member) in [("delta", "delta"), ("done", "arguments")] {
        events.append(
          event(
            "response.function_call_arguments.\(type)",
            [JSONMember("item_id", .string(id)), JSONMember(member, .string(call.arguments))]))
      }
      items.append(ResponsesShape.item(call, id, "completed", arguments: call.arguments))
      return events + [event("response.output_item.done", [JSONMember("item", items[output])])]
    }
  }

  private func grow(_ kind: Kind, _ text: String) -> [ReplyEvent] {
    var events: [ReplyEvent] = []
    if open?.kind != kind { events = close() + begin(kind) }
    open?.text += text
    return events + [
      inItem(
        kind == .message ? "response.output_text.delta" : "response.reasoning_text.delta",
        [JSONMember("delta", .string(text))])
    ]
  }

  private func begin(_ kind: Kind) -> [ReplyEvent] {
    let id = ReplyIdentity.random(kind == .message ? "msg_" : "rs_")
    open = (kind, id, "")
    let item = ResponsesShape.item(kind == .message, id, "in_progress", nil)
    let added = event(
      "response.output_item.added", [JSONMember("output_index", .integer(items.count)), JSONMember("item", item)])
    guard kind == .message else { return [added] }
    return [added, inItem("response.content_part.added", [JSONMember("part", ResponsesShape.part(""))])]
  }

  private func close(_ status: String = "completed") -> [ReplyEvent] {
    guard let (kind, id, text) = open else { return [] }
    let isMessage = kind == .message
    var events = [
      inItem(
        isMessage ? "response.output_text.done" : "response.reasoning_text.done", [JSONMember("text", .string(text))])
    ]
    if isMessage {
      events.append(inItem("response.content_part.done", [JSONMember("part", ResponsesShape.part(text))]))
    }
    let item = ResponsesShape.item(isMessage, id, status, text)
    events.append(
      event("response.output_item.done", [JSONMember("output_index", .integer(items.count)), JSONMember("item", item)]))
    items.append(item)
    open = nil
    return events
  }

  /// An event of the item that is open.
  private func inItem(_ type: String, _ members: [JSONMember]) -> ReplyEvent {
    event(
      type,
      [
        JSONMember("output_index", .integer(items.count)), JSONMember("item_id", .string(open?.id ?? "")),
        JSONMember("content_index", 0),
      ] + members)
  }

  private func event(_ type: String, _ members: [JSONMember]) -> ReplyEvent {
    defer { number += 1 }
    let head = [JSONMember("type", .string(type)), JSONMember("sequence_number", .integer(number))]
    return ReplyEvent(.object(head + members), name: type)
  }

  func progress(_ members: [JSONMember]) -> ReplyEvent {
    event("response.in_progress", [JSONMember("response", object("in_progress", [], nil))] + members)
  }

  // MARK: Objects

  /// OpenAI's word for how a reply, or its last item, ended.
  private static func status(_ outcome: Outcome) -> String {
    outcome.metrics.stop == .length ? "incomplete" : "completed"
  }

  func failure(_ error: ServiceError) -> ReplyEvent {
    event(
      "error",
      [
        JSONMember("code", .string(error.type)), JSONMember("message", .string(error.message)),
        JSONMember("param", nil),
      ])
  }

  func whole(_ outcome: Outcome) -> JSONValue {
    let parts = reader.parts(of: outcome.text)
    var output = parts.enumerated().map { index, part -> JSONValue in
      let status = index == parts.count - 1 ? ResponsesShape.status(outcome) : "completed"
      return switch part {
      case .thought(let text): ResponsesShape.item(false, ReplyIdentity.random("rs_"), status, text)
      case .text(let text): ResponsesShape.item(true, ReplyIdentity.random("msg_"), status, text)
      case .call(let call):
        ResponsesShape.item(call, ReplyIdentity.random("fc_"), "completed", arguments: call.arguments)
      }
    }
    let status = ResponsesShape.status(outcome)
    if output.isEmpty { output = [ResponsesShape.item(true, ReplyIdentity.random("msg_"), status, "")] }
    return object(status, output, outcome)
  }

  private static func part(_ text: String) -> JSONValue {
    ["type": "output_text", "text": .string(text), "annotations": [], "logprobs": []]
  }

  /// - Parameter text: nil: nothing yet.
  private static func item(_ isMessage: Bool, _ id: String, _ status: String, _ text: String?) -> JSONValue {
    guard isMessage else {
      let content = text.map { [["type": "reasoning_text", "text": .string($0)] as JSONValue] } ?? []
      return [
        "id": .string(id), "type": "reasoning", "summary": [], "content": .array(content),
        "encrypted_content": nil, "status": .string(status),
      ]
    }
    return [
      "id": .string(id), "type": "message", "role": "assistant", "status": .string(status),
      "content": .array(text.map { [part($0)] } ?? []),
    ]
  }

  private static func item(_ call: ToolCall, _ id: String, _ status: String, arguments: String) -> JSONValue {
    [
      "id": .string(id), "type": "function_call", "call_id": .string(call.id), "name": .string(call.name),
      "arguments": .string(arguments), "status": .string(status),
    ]
  }

  private func object(_ status: String, _ output: [JSONValue], _ outcome: Outcome?) -> JSONValue {
    let metrics = outcome?.metrics
    let usage: JSONValue =
      metrics.map { metrics in
        [
          "input_tokens": .integer(metrics.promptTokens), "output_tokens": .integer(metrics.generatedTokens),
          "total_tokens": .integer(metrics.promptTokens + metrics.generatedTokens),
          "input_tokens_details": ["cached_tokens": .integer(metrics.cachedTokens)],
          "output_tokens_details": ["reasoning_tokens": 0],
        ]
      } ?? .null
    let members: [JSONMember] = [
      JSONMember("id", .string(identity.id)), JSONMember("object", "response"),
      JSONMember("created_at", .integer(identity.created)), JSONMember("status", .string(status)),
      JSONMember("error", nil),
      JSONMember("incomplete_details", status == "incomplete" ? ["reason": "max_output_tokens"] : nil),
      JSONMember("model", .string(identity.model)), JSONMember("output", .array(output)), JSONMember("usage", usage),
    ]
    return .object(members + request + (outcome?.extras ?? []))
  }
}
