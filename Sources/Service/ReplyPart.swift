import Occam

/// What a model's reply consists of, in its order.
package enum ReplyPart: Sendable, Equatable {
  /// What it thought before it answered.
  case thought(String)
  case text(String)
  case call(ToolCall)
}

/// Parts a reply into thoughts, text and calls while it comes.
package struct ReplyReader: Sendable {
  private enum Reader {
    case plain
    case marked(MarkedReplyReader)
    case json(JSONReplyReader)
  }

  private var reader: Reader

  /// - Parameters:
  ///   - thoughts: how the model marks them; nil: they are text as all else.
  ///   - beginsInThought: the prompt ends with the opening mark.
  package init(tools: ToolUse?, thoughts: ThoughtMarks? = nil, beginsInThought: Bool = false) {
    if let tools, tools.notation == .json {
      reader = .json(JSONReplyReader())
    } else if tools != nil || thoughts != nil {
      reader = .marked(MarkedReplyReader(tools: tools, thoughts: thoughts, beginsInThought: beginsInThought))
    } else {
      reader = .plain
    }
  }

  /// - Returns: what a piece of the reply completes.
  package mutating func push(_ text: String) -> [ReplyPart] {
    switch reader {
    case .plain: return text.isEmpty ? [] : [.text(text)]
    case .marked(var marked):
      // Held in one place only, so that pushing does not copy.
      reader = .plain
      defer { reader = .marked(marked) }
      return marked.push(text)
    case .json(var json):
      reader = .plain
      defer { reader = .json(json) }
      return json.push(text)
    }
  }

  /// - Returns: what was held back. What cannot be read as calls is text.
  package mutating func finish() -> [ReplyPart] {
    defer { reader = .plain }
    switch reader {
    case .plain: return []
    case .marked(var marked): return marked.finish()
    case .json(var json): return json.finish()
    }
  }

  /// A whole reply, neighbours of a kind joined.
  package func parts(of reply: String) -> [ReplyPart] {
    var reader = self
    var parts: [ReplyPart] = []
    for part in reader.push(reply) + reader.finish() {
      switch (parts.last, part) {
      case (.thought(let last), .thought(let more)): parts[parts.count - 1] = .thought(last + more)
      case (.text(let last), .text(let more)): parts[parts.count - 1] = .text(last + more)
      default: parts.append(part)
      }
    }
    return parts
  }
}

extension [ReplyPart] {
  var text: String { map { if case .text(let text) = $0 { text } else { "" } }.joined() }
  var thought: String { map { if case .thought(let text) = $0 { text } else { "" } }.joined() }
  var calls: [ToolCall] { compactMap { if case .call(let call) = $0 { call } else { nil } } }
}
