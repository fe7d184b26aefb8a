import Occam
import OccamCore

/// POST /v1/completions: OpenAI's older API.
final class CompletionShape: ReplyShape {
  private let identity: ReplyIdentity
  private let wantsUsage: Bool
  private let index: Int

  init(_ identity: ReplyIdentity, index: Int = 0, wantsUsage: Bool) {
    self.identity = identity
    self.index = index
    self.wantsUsage = wantsUsage
  }

  func start() -> [ReplyEvent] { [] }

  func token(_ token: GeneratedToken) -> [ReplyEvent] {
    token.text.isEmpty ? [] : [ReplyEvent(object(token.text, finish: nil, []))]
  }

  func end(_ outcome: Outcome) -> [ReplyEvent] {
    let usage = wantsUsage ? [JSONMember("usage", outcome.usage)] : []
    return [ReplyEvent(object("", finish: outcome.finishReason, usage + ChatShape.extras(outcome))), .done]
  }

  func whole(_ outcome: Outcome) -> JSONValue {
    object(
      outcome.text, finish: outcome.finishReason, [JSONMember("usage", outcome.usage)] + ChatShape.extras(outcome))
  }

  private func object(_ text: String, finish: String?, _ members: [JSONMember]) -> JSONValue {
    let choice: JSONValue = [
      "text": .string(text), "index": .integer(index), "logprobs": nil,
      "finish_reason": finish.map { .string($0) } ?? .null,
    ]
    return .object(
      [
        JSONMember("choices", [choice]), JSONMember("created", .integer(identity.created)),
        JSONMember("id", .string(identity.id)), JSONMember("model", .string(identity.model)),
        JSONMember("system_fingerprint", .string(buildName)),
        JSONMember("object", "text_completion"),
      ] + members)
  }
}
