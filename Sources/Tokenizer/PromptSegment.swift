/// A piece of a prompt by where it comes from.
package enum PromptSegment: Sendable, Equatable {
  /// The chat template's own text: the names of control tokens in it are these tokens.
  case template(String)
  /// What a user, an assistant or a system prompt said: never a control token, whatever it spells.
  case text(String)
  /// The image of this index, counted through the conversation.
  case image(Int)
}

/// A piece of a tokenised prompt.
package enum EncodedPiece: Sendable, Equatable {
  case tokens([Int32])
  case image(Int)
}

extension Tokenizer {
  /// Tokenises a prompt. What stands between two images is tokenised as the one text it is, as llama.cpp does: merges
  /// cross the border of template and text, while control tokens are recognised only in what the template wrote.
  /// - Parameters:
  ///   - addBOS: put BOS in front, if the model wants it and the template has not written it.
  ///   - literals: texts that stay text in `.text` segments even where the vocabulary calls them user-defined: those
  ///     of image placeholders.
  /// - Returns: tokens and images in turn; no empty run of tokens.
  package func encode(segments: [PromptSegment], addBOS: Bool, literals: [String] = []) -> [EncodedPiece] {
    let protected = Set(literals.compactMap { token($0).map { Int($0) } })
    var pieces: [EncodedPiece] = []
    var bytes: [UInt8] = []
    var ranges: [Range<Int>] = []
    var wantsBOS = addBOS && self.addBOS

    func finishRun() {
      var tokens: [Int32] = []
      bytes.withUnsafeBufferPointer { encode($0, scope: .ranges(ranges, protected: protected), into: &tokens) }
      if wantsBOS, let bos, tokens.first != bos { tokens.insert(bos, at: 0) }
      wantsBOS = false
      if !tokens.isEmpty { pieces.append(.tokens(tokens)) }
      bytes.removeAll(keepingCapacity: true)
      ranges.removeAll(keepingCapacity: true)
    }

    for segment in segments {
      switch segment {
      case .template(let text):
        let start = bytes.count
        bytes += text.utf8
        if start == bytes.count { continue }
        if let last = ranges.last, last.upperBound == start {
          ranges[ranges.count - 1] = last.lowerBound..<bytes.count
        } else {
          ranges.append(start..<bytes.count)
        }
      case .text(let text): bytes += text.utf8
      case .image(let index):
        finishRun()
        pieces.append(.image(index))
      }
    }
    finishRun()
    return pieces
  }
}
