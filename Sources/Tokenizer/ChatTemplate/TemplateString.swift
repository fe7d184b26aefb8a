/// Text of a template that remembers which of it came in from outside: messages, as against what the template itself
/// wrote. Every operation on text keeps that, so that in the end control tokens are read from the template alone.
struct TemplateString: ExpressibleByStringLiteral {
  private(set) var text: String
  /// Byte ranges of `text` that came in, in order; none empty, none touching the next.
  private(set) var inputs: [Range<Int>] = []

  /// The template's own text.
  init(_ text: String) { self.text = text }

  init(stringLiteral text: String) { self.text = text }

  init(_ text: String, isInput: Bool) {
    self.text = text
    if isInput, !text.isEmpty { inputs = [0..<text.utf8.count] }
  }

  static let empty = TemplateString("")

  var count: Int { text.utf8.count }
  var isEmpty: Bool { text.isEmpty }

  mutating func append(_ other: TemplateString) {
    let offset = count
    text += other.text
    for range in other.inputs {
      let moved = range.lowerBound + offset..<range.upperBound + offset
      if let last = inputs.last, last.upperBound == moved.lowerBound {
        inputs[inputs.count - 1] = last.lowerBound..<moved.upperBound
      } else {
        inputs.append(moved)
      }
    }
  }

  static func + (left: TemplateString, right: TemplateString) -> TemplateString {
    var result = left
    result.append(right)
    return result
  }

  /// The bytes of a range, whose bounds lie between scalars.
  func slice(_ range: Range<Int>) -> TemplateString {
    let utf8 = text.utf8
    let start = utf8.index(utf8.startIndex, offsetBy: range.lowerBound)
    let end = utf8.index(start, offsetBy: range.count)
    var result = TemplateString(String(text[start..<end]))
    if inputs.isEmpty || range.isEmpty { return result }
    // The first range that ends behind the slice's start.
    var (low, high) = (0, inputs.count)
    while low < high {
      let middle = (low + high) / 2
      if inputs[middle].upperBound > range.lowerBound { high = middle } else { low = middle + 1 }
    }
    while low < inputs.count, inputs[low].lowerBound < range.upperBound {
      let common = inputs[low].clamped(to: range)
      result.inputs.append(common.lowerBound - range.lowerBound..<common.upperBound - range.lowerBound)
      low += 1
    }
    return result
  }

  /// The text cut where its origin changes.
  var runs: [TemplateString] {
    if origin != nil { return isEmpty ? [] : [self] }
    var result: [TemplateString] = []
    var position = 0
    for range in inputs {
      if position < range.lowerBound { result.append(slice(position..<range.lowerBound)) }
      result.append(slice(range))
      position = range.upperBound
    }
    if position < count { result.append(slice(position..<count)) }
    return result
  }

  /// Whether the text came in, if that is the same for all of it.
  var origin: Bool? { inputs.isEmpty ? false : inputs == [0..<count] ? true : nil }

  /// Bytes of text that cost as much memory as a change of origin.
  static let rangeCost = 32

  /// Each run changed by itself, its origin kept.
  func map(_ change: (String) -> String) -> TemplateString {
    var result = TemplateString.empty
    for run in runs { result.append(TemplateString(change(run.text), isInput: run.origin == true)) }
    return result
  }

  /// One text a scalar.
  var scalars: [TemplateString] {
    var result: [TemplateString] = []
    var position = 0
    var next = 0
    for scalar in text.unicodeScalars {
      while next < inputs.count, inputs[next].upperBound <= position { next += 1 }
      let isInput = next < inputs.count && inputs[next].lowerBound <= position
      result.append(TemplateString(String(Character(scalar)), isInput: isInput))
      position += UTF8.width(scalar)
    }
    return result
  }

  static func joined(_ parts: [TemplateString], _ separator: TemplateString = .empty) -> TemplateString {
    var result = TemplateString.empty
    for (index, part) in parts.enumerated() {
      if index > 0 { result.append(separator) }
      result.append(part)
    }
    return result
  }
}
