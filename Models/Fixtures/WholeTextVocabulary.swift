/// A small byte-pair vocabulary whose merges run over the whole text, U+2581 standing for spaces (Gemma 4's kind): letters
/// and signs are tokens, the merges that `BytePairVocabulary` trained make words of them, and bytes serve for the rest.
struct WholeTextVocabulary {
  private(set) var pieces: [String] = []
  private(set) var kinds: [BuiltInVocabulary.Kind] = []
  private(set) var isReadable: [Bool] = []
  private(set) var merges: [String] = []

  /// Special tokens in front, runs of line breaks, 256 bytes, signs, the merges' results, and pieces that no text holds
  /// up to `minimumCount` tokens.
  init(leading: [(String, BuiltInVocabulary.Kind)], minimumCount: Int) {
    for (token, kind) in leading { append(token, kind) }
    for count in 1...4 { append(String(repeating: "\n", count: count), .normal) }
    for byte in 0..<256 {
      let digits = String(byte, radix: 16, uppercase: true)
      append("<0x\(digits.count == 1 ? "0" : "")\(digits)>", .byte)
    }
    append(Self.space, .normal)
    for sign in 33...126 { append(String(Character(Unicode.Scalar(UInt8(sign)))), .normal) }
    // GPT-2's letters for space and line break; no merge reaches across a line break here.
    let trained = BytePairVocabulary.trainedMerges.split(separator: " ").map(String.init)
    for index in stride(from: 0, to: trained.count - 1, by: 2) {
      let pair = [trained[index], trained[index + 1]]
      if pair.contains(where: { $0.contains("\u{10A}") }) { continue }
      let (left, right) = (Self.unfolded(pair[0]), Self.unfolded(pair[1]))
      merges.append("\(left) \(right)")
      append(left + right, .normal, isReadable: (left + right).hasPrefix(Self.space))
    }
    while pieces.count < minimumCount { append("<unused\(pieces.count)>", .unused) }
  }

  /// The token's number. - Precondition: the token is in the vocabulary.
  func id(_ token: String) -> UInt32 {
    guard let index = pieces.firstIndex(of: token) else { preconditionFailure("WholeTextVocabulary: no '\(token)'") }
    return UInt32(index)
  }

  private mutating func append(_ piece: String, _ kind: BuiltInVocabulary.Kind, isReadable readable: Bool = false) {
    pieces.append(piece)
    kinds.append(kind)
    isReadable.append(readable)
  }

  private static let space = "\u{2581}"

  private static func unfolded(_ text: String) -> String {
    text.map { $0 == "\u{120}" ? space : String($0) }.joined()
  }
}
