import OccamModels
import OccamTokenizer

/// What a prompt consists of, in order.
enum PromptItem: Equatable {
  case token(Int32)
  /// Index of an image of the session.
  case image(Int)
}

/// A stretch of a raw prompt.
public enum PromptPart: Sendable, Equatable {
  case text(String)
  /// Numbers of tokens, taken as they are.
  case tokens([Int32])
}

/// A tokenised prompt.
struct Prompt {
  /// Stands for an image in raw prompts (llama.cpp's marker).
  static let imageMarker = ChatFormat.imageMarker

  var items: [PromptItem] = []
  /// Items before this one are older turns; text from here on is the question that stage II asks with.
  var questionStart = 0

  init() {}

  /// Tokenises `text`; its i-th marker stands for image `images[i]`. Each text part is tokenised alone and with special
  /// tokens parsed, BOS comes once, before everything (as llama.cpp's mtmd does).
  init(_ text: String, images: [Int], tokenizer: Tokenizer) throws(OccamError) {
    try self.init([.text(text)], images: images, tokenizer: tokenizer)
  }

  /// The same of parts: tokens stand as they are given, and bring their own BOS where they come first.
  init(_ parts: [PromptPart], images: [Int], tokenizer: Tokenizer) throws(OccamError) {
    try Prompt.checkMarks(parts, images: images.count)
    if case .text = parts.first, tokenizer.addBOS, let bos = tokenizer.bos { items.append(.token(bos)) }
    var shown = 0
    for part in parts {
      switch part {
      case .tokens(let ids):
        if let id = ids.first(where: { $0 < 0 || $0 >= tokenizer.vocabularySize }) {
          throw OccamError(.invalidOption, "prompt", "token \(id) is none of the model's \(tokenizer.vocabularySize)")
        }
        items += ids.map { .token($0) }
      case .text(let text):
        for (index, piece) in Prompt.split(text).enumerated() {
          if index > 0 {
            items.append(.image(images[shown]))
            shown += 1
          }
          if piece.isEmpty { continue }
          items += tokenizer.encode(piece, addSpecial: false, parseSpecial: true).map { .token($0) }
        }
      }
    }
  }

  /// A rendered conversation. What people and models said in it is text, whatever it spells; an image stands between the
  /// texts that its family's processor puts round it.
  init(_ segments: [PromptSegment], chat: ChatDefaults?, tokenizer: Tokenizer) {
    let placeholder = chat?.placeholders.first
    let expanded = segments.flatMap { segment -> [PromptSegment] in
      guard case .image = segment, let placeholder else { return [segment] }
      return [.template(placeholder.before), segment, .template(placeholder.after)]
    }
    let literals = (chat?.placeholders.map(\.literal) ?? []) + (chat?.markers ?? [])
    for piece in tokenizer.encode(segments: expanded, addBOS: true, literals: literals) {
      switch piece {
      case .tokens(let ids): items += ids.map { .token($0) }
      case .image(let index): items.append(.image(index))
      }
    }
  }

  /// As many markers as images.
  static func checkMarks(_ parts: [PromptPart], images: Int) throws(OccamError) {
    func counted(_ count: Int, _ noun: String) -> String {
      "\(count == 0 ? "no" : "\(count)") \(noun)\(count == 1 ? "" : "s")"
    }
    let marks = parts.reduce(0) { sum, part in
      if case .text(let text) = part { sum + split(text).count - 1 } else { sum }
    }
    if marks != images {
      throw OccamError(
        .invalidOption, "prompt", "has \(counted(marks, "image mark")) \(imageMarker) for \(counted(images, "image"))")
    }
  }

  /// The text between the markers: one more part than markers.
  static func split(_ text: String) -> [String] {
    var parts: [String] = []
    var rest = text[...]
    while let range = firstRange(of: imageMarker, in: rest) {
      parts.append(String(rest[..<range.lowerBound]))
      rest = rest[range.upperBound...]
    }
    parts.append(String(rest))
    return parts
  }

  private static func firstRange(of needle: String, in text: Substring) -> Range<Substring.Index>? {
    let bytes = Array(needle.utf8)
    var start = text.utf8.startIndex
    while let candidate = text.utf8[start...].firstIndex(of: bytes[0]) {
      var end = candidate
      var matched = 0
      while matched < bytes.count, end < text.utf8.endIndex, text.utf8[end] == bytes[matched] {
        end = text.utf8.index(after: end)
        matched += 1
      }
      if matched == bytes.count { return candidate..<end }
      start = text.utf8.index(after: candidate)
    }
    return nil
  }

  /// Length of the common beginning.
  static func common(_ a: [PromptItem], _ b: [PromptItem]) -> Int {
    zip(a, b).prefix { $0 == $1 }.count
  }
}
