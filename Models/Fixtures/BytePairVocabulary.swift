/// A small byte-pair vocabulary: any text has tokens, because every byte is one, and trained merges make words of them.
struct BytePairVocabulary {
  private(set) var pieces: [String] = []
  private(set) var kinds: [BuiltInVocabulary.Kind] = []
  private(set) var isReadable: [Bool] = []
  let merges: [String]

  /// Special tokens in front, 256 bytes, the merges' results, special tokens behind, and pieces that no text holds up to
  /// `minimumCount` tokens.
  init(leading: [String], trailing: [String], minimumCount: Int) {
    let merges = Self.trainedMerges.split(separator: " ").map(String.init)
    self.merges = stride(from: 0, to: merges.count - 1, by: 2).map { "\(merges[$0]) \(merges[$0 + 1])" }
    for token in leading { append(token, .control) }
    for letter in Self.letters { append(letter, .normal) }
    for index in stride(from: 0, to: merges.count - 1, by: 2) {
      let piece = merges[index] + merges[index + 1]
      append(piece, .normal, isReadable: piece.hasPrefix("\u{120}"))
    }
    for token in trailing { append(token, .control) }
    while pieces.count < minimumCount { append("<unused\(pieces.count)>", .unused) }
  }

  /// The token's number. - Precondition: the token is in the vocabulary.
  func id(_ token: String) -> UInt32 {
    guard let index = pieces.firstIndex(of: token) else { preconditionFailure("BytePairVocabulary: no '\(token)'") }
    return UInt32(index)
  }

  private mutating func append(_ piece: String, _ kind: BuiltInVocabulary.Kind, isReadable readable: Bool = false) {
    pieces.append(piece)
    kinds.append(kind)
    isReadable.append(readable)
  }

  /// GPT-2's letters for the 256 bytes, in its order: visible bytes as themselves, then the others from U+0100.
  private static let letters: [String] = {
    let visible = Array(33...126) + Array(161...172) + Array(174...255)
    let hidden = 256 - visible.count
    return (visible + Array(256..<256 + hidden)).compactMap { Unicode.Scalar(UInt32($0)).map { String(Character($0)) } }
  }()
}
