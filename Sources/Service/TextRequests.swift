import Occam
import OccamCore

// What is answered without computing: tokens and templates.

extension ModelRequest {
  func tokenize() throws(ServiceError) -> JSONValue {
    let text = try fields.string("content") ?? ""
    let ids = ready.model.tokenize(
      text, addSpecial: try fields.bool("add_special") ?? false, parseSpecial: try fields.bool("parse_special") ?? true)
    guard try fields.bool("with_pieces") ?? false else { return ["tokens": .array(ids.map { .integer(Int($0)) })] }
    return [
      "tokens": .array(
        ids.map { id in
          let bytes = ready.model.bytes(ofToken: id)
          let piece =
            String(validating: bytes, as: UTF8.self).map { JSONValue.string($0) }
            ?? .array(bytes.map { .integer(Int($0)) })
          return ["id": .integer(Int(id)), "piece": piece]
        })
    ]
  }

  func detokenize() throws(ServiceError) -> JSONValue {
    var ids: [Int32] = []
    for token in try fields.array("tokens") ?? [] {
      guard let id = token.intValue.flatMap({ Int32(exactly: $0) }) else {
        throw fields.error("tokens", "an array of token numbers")
      }
      ids.append(id)
    }
    return ["content": .string(ready.model.detokenize(ids))]
  }

  func applyTemplate() throws(ServiceError) -> JSONValue {
    let plan = try chatPlan(try chatOptions())
    let asksForReply = try fields.bool("add_generation_prompt") ?? true
    let text = try occam { () throws(OccamError) in
      try ready.model.promptText(plan.messages, options: plan.options, asksForReply: asksForReply)
    }
    return ["prompt": .string(text)]
  }

  func countChatTokens() throws(ServiceError) -> JSONValue { try count(try chatPlan(try chatOptions())) }

  func countMessageTokens() throws(ServiceError) -> JSONValue {
    try count(try messagePlan(MessagesFields(fields: fields, pictures: pictures), try chatOptions()))
  }

  private func count(_ plan: ReplyPlan) throws(ServiceError) -> JSONValue {
    let tokens = try occam { () throws(OccamError) in
      try ready.model.promptTokens(plan.messages, options: plan.options)
    }
    return ["input_tokens": .integer(tokens)]
  }
}
