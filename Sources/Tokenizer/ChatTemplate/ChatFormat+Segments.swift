import OccamCore

extension ChatFormat {
  /// The prompt of a conversation, in pieces by where they come from. What messages say is `.text`, whatever it
  /// spells; the rest is the template's own.
  ///
  /// Images go in as typed parts where the template has a branch for them, and what it writes there is looked for in
  /// its own text. Where it has none, `imageMarker` stands in the content at the image's place.
  /// - Parameters:
  ///   - addGenerationPrompt: ends with the beginning of the assistant's turn.
  ///   - imageLiterals: what the model's template may write for an image, as `<image>` or `<|image_pad|>`.
  ///   - imageBreak: follows each image that stands in the content.
  ///   - variables: further ones for the template, as `enable_thinking` and `tools`; their texts come from outside.
  /// - Throws: what the template throws; `images` if it does not show each image of the conversation once.
  package func segments(
    messages: [ChatMessage], addGenerationPrompt: Bool, imageLiterals: [String], imageBreak: String = "",
    variables: [JSONMember] = []
  ) throws(TemplateError) -> [PromptSegment] {
    var values: [String: TemplateValue] = [:]
    for variable in variables { values[variable.name] = TemplateValue(variable.value, isInput: true) }
    values["messages"] = .parts(messages.map { .message($0.role, content(of: $0, imageBreak), $0.members) })
    values["add_generation_prompt"] = .bool(addGenerationPrompt)
    values["bos_token"] = .string(TemplateString(bosToken))
    values["eos_token"] = .string(TemplateString(eosToken))
    let rendered = try template.render(values)

    let images = messages.reduce(0) { $0 + $1.content.count { $0 == .image } }
    let literals = images == 0 ? [] : abilities.showsImages ? imageLiterals : [ChatFormat.imageMarker]
    var segments: [PromptSegment] = []
    var shown = 0
    for run in rendered.runs {
      if run.origin == true {
        segments.append(.text(run.text))
      } else {
        ChatFormat.split(run.text, at: literals, &shown, into: &segments)
      }
    }
    guard shown == images else {
      let names = literals.map { "'\($0)'" }.joined(separator: ", ")
      throw TemplateError(
        .images, line: 0, "\(shown) image placeholders (\(names)) for \(images) images of the conversation")
    }
    return segments
  }

  private func content(of message: ChatMessage, _ imageBreak: String) -> TemplateValue {
    if abilities.showsImages, message.content.contains(.image) {
      return .parts(
        message.content.map { part in
          switch part {
          case .image: .part("image")
          case .text(let text): .part("text", ("text", TemplateString(text, isInput: true)))
          }
        })
    }
    let text = message.marked(imageBreak)
    return abilities.shape(message.role) == .parts ? .parts([.part("text", ("text", text))]) : .string(text)
  }

  /// Cuts template text at the literals: at each place the longest that stands there.
  private static func split(
    _ text: String, at literals: [String], _ shown: inout Int, into segments: inout [PromptSegment]
  ) {
    let bytes = Array(text.utf8)
    let literals = literals.filter { !$0.isEmpty }.map { Array($0.utf8) }.sorted { $0.count > $1.count }
    let beginnings = Set(literals.map { $0[0] })
    var (start, position) = (0, 0)
    func flush(_ segments: inout [PromptSegment]) {
      if start < position { segments.append(.template(String(decoding: bytes[start..<position], as: UTF8.self))) }
    }
    while position < bytes.count {
      guard beginnings.contains(bytes[position]),
        let literal = literals.first(where: { bytes[position...].starts(with: $0) })
      else {
        position += 1
        continue
      }
      flush(&segments)
      segments.append(.image(shown))
      shown += 1
      position += literal.count
      start = position
    }
    flush(&segments)
  }
}

extension ChatMessage {
  /// `joined`, with the markers as the template's own text, and behind each of them `imageBreak`.
  func marked(_ imageBreak: String = "") -> TemplateString {
    var result = TemplateString.empty
    var afterImage = false
    for part in content {
      switch part {
      case .text(let piece):
        if !afterImage, !result.isEmpty { result.append("\n") }
        result.append(TemplateString(piece, isInput: true))
        afterImage = false
      case .image:
        result.append(TemplateString(ChatFormat.imageMarker + imageBreak))
        afterImage = true
      }
    }
    return result
  }
}
