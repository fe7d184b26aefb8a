/// How answers are held against what was expected.
package enum Scoring {
  /// Lower case, spaces trimmed and collapsed, a final full stop dropped.
  package static func normalized(_ text: String) -> String {
    var words = text.lowercased().split(whereSeparator: \.isWhitespace).joined(separator: " ")
    if words.hasSuffix(".") {
      words.removeLast()
      while words.hasSuffix(" ") { words.removeLast() }
    }
    return words
  }

  /// 1 for an answer that equals an accepted one after normalising, else 0; for descriptions the best word F1.
  package static func score(_ answer: String, _ question: EvalQuestion) -> Double {
    guard question.type.isExact else { return question.answers.map { wordF1(answer, $0) }.max() ?? 0 }
    let given = normalized(answer)
    return question.answers.contains { normalized($0) == given } ? 1 : 0
  }

  /// Harmonic mean of precision and recall over words, repetitions counted (as SQuAD scores spans, Rajpurkar et al. 2016,
  /// but articles stay). Words are runs of letters and digits.
  package static func wordF1(_ answer: String, _ expected: String) -> Double {
    let given = words(answer)
    let wanted = words(expected)
    if given.isEmpty || wanted.isEmpty { return given.isEmpty && wanted.isEmpty ? 1 : 0 }
    var left: [String: Int] = [:]
    for word in wanted { left[word, default: 0] += 1 }
    var common = 0
    for word in given {
      if let count = left[word], count > 0 {
        left[word] = count - 1
        common += 1
      }
    }
    return 2 * Double(common) / Double(given.count + wanted.count)
  }

  private static func words(_ text: String) -> [String] {
    text.lowercased().split { !($0.isLetter || $0.isNumber) }.map(String.init)
  }
}
