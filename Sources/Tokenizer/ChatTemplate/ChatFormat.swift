import OccamCore

/// One turn of a conversation.
package struct ChatMessage: Sendable, Equatable {
  package enum Part: Sendable, Equatable {
    case text(String)
    case image
  }
  /// `system`, `user`, `assistant`, `tool`.
  package let role: String
  package let content: [Part]
  /// What else the template is told of the message, as `tool_calls`.
  package let members: [JSONMember]

  package init(role: String, content: [Part], members: [JSONMember] = []) {
    self.role = role
    self.content = content
    self.members = members
  }

  package init(role: String, text: String) { self.init(role: role, content: [.text(text)]) }

  /// The content as one text, an image as its marker. Texts that follow each other stand on lines of their own;
  /// nothing comes between a text and an image (as llama.cpp joins them).
  var joined: String { marked().text }
}

/// How a model wants its conversations written.
package struct ChatFormat: Sendable {
  /// Stands for an image in the prompt.
  package static let imageMarker = "<__media__>"

  package enum Builtin: String, Sendable, CaseIterable {
    /// LLaVA-1.5's, for files without a template: no system text of its own, turns end with a newline, answers with
    /// `</s>` (the format llama.cpp calls by this name).
    case vicuna
    case chatml
    /// The contents one after another, nothing around them.
    case plain

    var source: String {
      switch self {
      case .vicuna:
        """
        {%- for message in messages -%}
        {%- if message.role == 'system' -%}{{ message.content + '\\n\\n' }}
        {%- elif message.role == 'user' -%}{{ 'USER: ' + message.content + '\\n' }}
        {%- elif message.role == 'assistant' -%}{{ 'ASSISTANT: ' + message.content + '</s>\\n' }}
        {%- endif -%}
        {%- endfor -%}
        {%- if add_generation_prompt -%}{{ 'ASSISTANT:' }}{%- endif -%}
        """
      case .chatml:
        """
        {%- for message in messages -%}
        {{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
        {%- endfor -%}
        {%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}
        """
      case .plain: "{% for message in messages %}{{ message.content }}{% endfor %}"
      }
    }
  }

  let template: ChatTemplate
  let bosToken: String
  let eosToken: String
  let abilities: ChatAbilities
  /// The template shows typed parts only: content goes in as a list of text parts.
  package var takesParts: Bool { abilities.shape("user") == .parts }

  /// - Parameters: bosToken, eosToken: as text, for templates that write them.
  package init(template source: String, bosToken: String = "", eosToken: String = "") throws(TemplateError) {
    template = try ChatTemplate(source)
    self.bosToken = bosToken
    self.eosToken = eosToken
    abilities = ChatAbilities(of: template)
  }

  package init(builtin: Builtin) throws(TemplateError) { try self.init(template: builtin.source) }

  /// The name of a built-in format, else a template's text.
  package init(nameOrTemplate text: String, bosToken: String = "", eosToken: String = "") throws(TemplateError) {
    try self.init(template: Builtin(rawValue: text)?.source ?? text, bosToken: bosToken, eosToken: eosToken)
  }

  /// False for a single word that names no built-in format: a name of somebody else's, as templates are longer.
  package static func mayBeTemplate(_ text: String) -> Bool {
    if Builtin(rawValue: text) != nil { return true }
    return !text.utf8.allSatisfy { byte in
      UInt8(ascii: "a")...UInt8(ascii: "z") ~= byte || UInt8(ascii: "0")...UInt8(ascii: "9") ~= byte
        || "-._".utf8.contains(byte)
    }
  }

  /// The prompt of a conversation, each image as `imageMarker`.
  /// - Parameter addGenerationPrompt: ends with the beginning of the assistant's turn.
  package func render(messages: [ChatMessage], addGenerationPrompt: Bool) throws(TemplateError) -> String {
    let list = messages.map { message -> JSONValue in
      let content: JSONValue = .string(message.joined)
      return [
        "role": .string(message.role), "content": takesParts ? [["type": "text", "text": content]] : content,
      ]
    }
    return try template.render([
      "messages": .array(list), "add_generation_prompt": .bool(addGenerationPrompt), "bos_token": .string(bosToken),
      "eos_token": .string(eosToken),
    ])
  }
}
