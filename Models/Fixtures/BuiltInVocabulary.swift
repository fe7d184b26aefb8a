/// A small SentencePiece-style vocabulary: any text has tokens, because every byte is one, and common English words
/// have one token each.
package struct BuiltInVocabulary: Sendable {
  /// The type ids of `tokenizer.ggml.token_type`.
  package enum Kind: Int32, Sendable {
    case normal = 1
    case unknown = 2
    case control = 3
    case userDefined = 4
    case unused = 5
    case byte = 6
  }

  package private(set) var pieces: [String] = []
  package private(set) var scores: [Float] = []
  package private(set) var kinds: [Kind] = []
  /// Whether a reader can make something of the piece alone: a word, a sign.
  package private(set) var isReadable: [Bool] = []

  /// - Parameters:
  ///   - leading: tokens before the bytes; Llama's three if nil.
  ///   - minimumCount: fills up to it with pieces that no text holds.
  package init(leading: [(piece: String, kind: Kind)]? = nil, minimumCount: Int = 0) {
    for (piece, kind) in leading ?? [("<unk>", .unknown), ("<s>", .control), ("</s>", .control)] {
      append(piece, kind, score: 0, isReadable: piece == "</s>")
    }
    for byte in 0..<256 {
      let digits = String(byte, radix: 16, uppercase: true)
      append("<0x\(digits.count == 1 ? "0" : "")\(digits)>", .byte, score: 0)
    }
    // Merging takes the best score first: a word grows letter by letter from its leading space through its own
    // beginnings, which rank before all endings, so that nothing can break it apart.
    var known: Set<String> = []
    let words = Self.words.split(separator: " ").map { "\u{2581}\($0)" }
    let whole = Set(words)
    for word in words {
      for length in 2...word.unicodeScalars.count {
        let beginning = String(String.UnicodeScalarView(word.unicodeScalars.prefix(length)))
        guard known.insert(beginning).inserted else { continue }
        append(beginning, .normal, score: rank, isReadable: whole.contains(beginning))
      }
    }
    for ending in Self.endings.split(separator: " ") where known.insert(String(ending)).inserted {
      append(String(ending), .normal, score: rank)
    }
    for scalar in "\u{2581}" + Self.letters {
      append(String(scalar), .normal, score: rank, isReadable: Self.signs.contains(scalar))
    }
    while count < minimumCount { append("<unused\(count)>", .unused, score: rank) }
  }

  package var count: Int { pieces.count }

  private var rank: Float { -Float(pieces.count) }

  private mutating func append(_ piece: String, _ kind: Kind, score: Float, isReadable readable: Bool = false) {
    pieces.append(piece)
    scores.append(score)
    kinds.append(kind)
    isReadable.append(readable)
  }

  private static let signs = ".,!?"
  private static let letters =
    "etaoinsrhldcumfpgwybvkxjqzETAOINSRHLDCUMFPGWYBVKXJQZ0123456789" + signs + ":;'\"()-_/+*=%&#@[]{}<>|~$^\\`"
  private static let endings = "in ing er es ed on en an re th tion ti ly al st or le ar ow ight ough"
  private static let words = """
    the a an is are was in on at of to and with for from by it its this that there here one two three four many some \
    no not can be has have had you your I we they he she his her what where who how which when why do does did see \
    look looks image photo picture shows show describe answer question USER ASSISTANT color colour red green blue \
    white black brown gray orange yellow pink dark light bright small large big little old young new round square \
    long short left right top bottom front back behind under over near next between inside outside cat dog bird horse \
    animal person man woman child people face eye eyes ear ears nose hand hands table chair cup coffee spoon saucer \
    plate glass bottle food water wood wooden tree grass flower sky sun cloud sea house window door wall floor street \
    road car bus train boat book paper letter word text sign number line shape metal soft warm cold hot sitting \
    standing lying looking holding drinking reading walking running playing sleeping seems very quite more most also \
    only together while because but or if then so up down out as like
    """
}
