import OccamGGUF
package struct TemplateError: Error { package var description: String { "" } }
package struct ChatMessage { package var role: String, text: String, images: Int
 package init(role: String, text: String, images: Int) { self.role = role; self.text = text; self.images = images } }
package struct ChatFormat: Sendable { package enum BuiltIn { case vicuna, plain }
  package init(template: String, metadata: GGUFFile) throws {}
  init() {}
  package static func builtIn(_ b: BuiltIn) -> ChatFormat { ChatFormat() }
  package func render(messages: [ChatMessage], addGenerationPrompt: Bool) throws(TemplateError) -> String {
    var s = ""
    for m in messages { s += (m.role == "user" ? "USER: " : "ASSISTANT: ") + String(repeating: "<__media__>", count: m.images) + "\n" + m.text + "\n" }
    return s + (addGenerationPrompt ? "ASSISTANT:" : "")
  }
  package func stopStrings(raw: Bool) -> [String] { [] }
}
