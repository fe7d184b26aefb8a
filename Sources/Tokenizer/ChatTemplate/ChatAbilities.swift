import OccamCore

/// What a template does with the contents of messages, found by rendering probes once (llama.cpp's `common_chat`
/// learns a template's abilities the same way).
struct ChatAbilities: Sendable {
  /// What `content` is in a message without images.
  enum Shape: Sendable {
    case string
    case parts
  }

  private let shapes: [String: Shape]
  /// Image parts of a user's message reach the text through the template's own branch.
  let showsImages: Bool

  private static let probe = "occam-probe"

  init(of template: ChatTemplate) {
    var shapes: [String: Shape] = [:]
    for role in ["system", "user", "assistant"] {
      let isShown = ChatAbilities.shows(template, role, .string(TemplateString(ChatAbilities.probe)))
      let needsParts = !isShown && ChatAbilities.shows(template, role, ChatAbilities.parts(image: false))
      shapes[role] = needsParts ? .parts : .string
    }
    self.shapes = shapes
    let with = ChatAbilities.render(template, "user", ChatAbilities.parts(image: true))
    let without = ChatAbilities.render(template, "user", ChatAbilities.parts(image: false))
    showsImages = with != nil && with != without && with.map(ChatAbilities.isShown) == true
  }

  /// A role that is none of the usual ones goes like the user's.
  func shape(_ role: String) -> Shape { shapes[role] ?? shapes["user"] ?? .string }

  private static func parts(image: Bool) -> TemplateValue {
    let text = TemplateValue.part("text", ("text", TemplateString(probe)))
    return .parts(image ? [.part("image"), text] : [text])
  }

  private static func shows(_ template: ChatTemplate, _ role: String, _ content: TemplateValue) -> Bool {
    render(template, role, content).map(isShown) ?? false
  }

  /// A list that a template prints as a whole does not count.
  private static func isShown(_ text: String) -> Bool {
    text.firstRange(of: probe) != nil && ["'", "\""].allSatisfy { text.firstRange(of: $0 + probe + $0) == nil }
  }

  private static func render(_ template: ChatTemplate, _ role: String, _ content: TemplateValue) -> String? {
    // Templates want a user's turn, and it first; behind an assistant's some write less.
    let user = TemplateValue.message("user", .string("x"))
    let userInParts = TemplateValue.message("user", .parts([.part("text", ("text", "x"))]))
    let message = TemplateValue.message(role, content)
    for other in [user, userInParts] {
      let messages: [TemplateValue] =
        switch role {
        case "system": [message, other]
        case "assistant": [other, message]
        default: [message]
        }
      let values: [String: TemplateValue] = [
        "messages": .parts(messages), "add_generation_prompt": .bool(false), "bos_token": "", "eos_token": "",
      ]
      if let text = try? template.render(values, now: 0).text { return text }
    }
    return nil
  }
}

extension TemplateValue: ExpressibleByStringLiteral {
  init(stringLiteral value: String) { self = .string(TemplateString(value)) }

  /// A list of parts or of messages.
  static func parts(_ items: [TemplateValue]) -> TemplateValue {
    .list(TemplateList(items: items, depth: (items.map(\.depth).max() ?? 0) + 1))
  }

  static func part(_ type: String, _ entry: (name: String, value: TemplateString)? = nil) -> TemplateValue {
    var dictionary = TemplateDictionary()
    dictionary.set("type", key: .string("type"), .string(TemplateString(type)))
    if let entry {
      dictionary.set(.string(TemplateString(entry.name)), key: .string(entry.name), .string(entry.value))
    }
    return .dictionary(dictionary)
  }

  /// - Parameter role: of the usual ones it is the template's own word: some write `<|role|>` with it.
  /// - Parameter members: further ones, as `tool_calls`; they come from outside.
  static func message(_ role: String, _ content: TemplateValue, _ members: [JSONMember] = []) -> TemplateValue {
    var dictionary = TemplateDictionary()
    let isInput = !["system", "user", "assistant", "tool"].contains(role)
    dictionary.set("role", key: .string("role"), .string(TemplateString(role, isInput: isInput)))
    dictionary.set("content", key: .string("content"), content)
    for member in members {
      let name = TemplateValue.string(TemplateString(member.name))
      dictionary.set(name, key: .string(member.name), TemplateValue(member.value, isInput: true))
    }
    return .dictionary(dictionary)
  }
}
