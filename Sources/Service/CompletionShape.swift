import Occam
import OccamCore

/// POST /v1/completions: OpenAI's older API.
final class CompletionShape: ReplyShape {
  private let identity: ReplyIdentity
  private let wantsUsage: Bool
  private let wantsLogprobs: Bool
  private let index: Int

  /// - Parameter index: among the replies to one request.
  init(_ identity: ReplyIdentity, index: Int, wantsUsage: Bool, wantsLogprobs: Bool) {
    self.identity = identity
    self.index = index
    self.wantsUsage = wantsUsage
    self.wantsLogprobs = wantsLogprobs
  }

  func start() -> [ReplyEvent] { [] }

  func token(_ token: GeneratedToken) -> [ReplyEvent] {
    token.text.isEmpty && !wantsLogprobs ? [] : [chunk(token.text, [token])]
  }

  func end(_ outcome: Outcome) -> [ReplyEvent] {
    identity.end("text_completion", outcome, wantsUsage: wantsUsage) { members in
      chunk("", finish: outcome.finishReason, members)
    }
  }

  func whole(_ outcome: Outcome) -> JSONValue {
    identity.object(
      "text_completion", [choice(outcome.text, outcome.tokens, finish: outcome.finishReason)],
      [JSONMember("usage", outcome.usage)] + outcome.extras)
  }

  private func chunk(
    _ text: String, _ tokens: [GeneratedToken] = [], finish: String? = nil, _ members: [JSONMember] = []
  ) -> ReplyEvent {
    ReplyEvent(identity.object("text_completion", [choice(text, tokens, finish: finish)], members))
  }

  private func choice(_ text: String, _ tokens: [GeneratedToken], finish: String?) -> JSONValue {
    [
      "text": .string(text), "index": .integer(index), "logprobs": wantsLogprobs ? tokens.logprobs : nil,
      "finish_reason": finish.map { .string($0) } ?? .null,
    ]
  }
}
