import Occam
import OccamCore

/// One event of a streamed reply.
struct ReplyEvent: Sendable {
  /// The event's name; nil for APIs that name none.
  var name: String?
  /// nil: the end of OpenAI's streams.
  private let json: JSONValue?
  /// Belongs behind the last of several choices, and behind no other.
  let isClosing: Bool

  init(_ json: JSONValue?, name: String? = nil, isClosing: Bool = false) {
    self.json = json
    self.name = name
    self.isClosing = isClosing
  }

  var data: String { json?.text() ?? "[DONE]" }

  /// How OpenAI's streams end.
  static let done = ReplyEvent(nil, isClosing: true)

  /// With one member more, unless there is one of that name.
  func adding(_ member: JSONMember) -> ReplyEvent {
    guard case .object(let members) = json, !members.contains(where: { $0.name == member.name }) else { return self }
    return ReplyEvent(.object(members + [member]), name: name, isClosing: isClosing)
  }
}

/// How an API writes a reply: whole, or as a stream of events. One a reply.
protocol ReplyShape: AnyObject {
  /// Before the first token.
  func start() -> [ReplyEvent]
  /// A token whose text may be empty.
  func token(_ token: GeneratedToken) -> [ReplyEvent]
  func end(_ outcome: Outcome) -> [ReplyEvent]
  func whole(_ outcome: Outcome) -> JSONValue
  /// How far the prompt is computed, as members of an event.
  func progress(_ members: [JSONMember]) -> ReplyEvent
  /// An error behind the first event.
  func failure(_ error: ServiceError) -> ReplyEvent
  /// Several whole replies to one request as one.
  func joined(_ replies: [JSONValue]) -> JSONValue
}

extension ReplyShape {
  func progress(_ members: [JSONMember]) -> ReplyEvent {
    ReplyEvent(.object([JSONMember("choices", [])] + members))
  }

  func failure(_ error: ServiceError) -> ReplyEvent { ReplyEvent(error.json) }

  /// The last one, whose usage counts those before it, with the choices of all.
  func joined(_ replies: [JSONValue]) -> JSONValue {
    guard replies.count > 1, case .object(let members) = replies.last else { return replies.last ?? .null }
    let choices = replies.flatMap { $0["choices"]?.arrayValue ?? [] }
    return .object(members.map { $0.name == "choices" ? JSONMember("choices", .array(choices)) : $0 })
  }
}

/// What replies and /props say of the program: clients of llama-server expect a "b" in front.
let buildName = "b\(OccamVersion.text)-occam"

/// What is the same in every object of a reply.
struct ReplyIdentity: Sendable {
  let id: String
  let model: String
  /// Seconds since 1970.
  let created: Int

  init(prefix: String, model: String, created: Int) {
    id = ReplyIdentity.random(prefix)
    self.model = model
    self.created = created
  }

  /// What OpenAI's objects of a reply have in common.
  func object(_ kind: String, _ choices: [JSONValue], _ members: [JSONMember]) -> JSONValue {
    .object(
      [
        JSONMember("choices", .array(choices)), JSONMember("created", .integer(created)),
        JSONMember("id", .string(id)), JSONMember("model", .string(model)),
        JSONMember("system_fingerprint", .string(buildName)), JSONMember("object", .string(kind)),
      ] + members)
  }

  /// How a stream of such objects ends.
  /// - Parameters: kind: of the objects; last: the last chunk, given what else it is to say.
  func end(
    _ kind: String, _ outcome: Outcome, wantsUsage: Bool, last: ([JSONMember]) -> ReplyEvent
  ) -> [ReplyEvent] {
    guard wantsUsage else { return [last(outcome.extras), .done] }
    let usage = object(kind, [], [JSONMember("usage", outcome.usage)] + outcome.extras)
    return [last([]), ReplyEvent(usage, isClosing: true), .done]
  }

  static func random(_ prefix: String) -> String {
    let alphabet = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
    return prefix + String((0..<24).map { _ in alphabet[Int.random(in: 0..<alphabet.count)] })
  }
}
