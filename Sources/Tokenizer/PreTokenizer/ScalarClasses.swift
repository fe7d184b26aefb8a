/// What pre-tokenisers ask of a scalar: its general category, white space, and a few sets of ASCII characters.
package struct ScalarClasses: OptionSet, Sendable {
  package let rawValue: UInt32

  package init(rawValue: UInt32) { self.rawValue = rawValue }

  package static let letter = ScalarClasses(rawValue: 1)
  package static let mark = ScalarClasses(rawValue: 1 << 1)
  package static let number = ScalarClasses(rawValue: 1 << 2)
  package static let punctuation = ScalarClasses(rawValue: 1 << 3)
  package static let symbol = ScalarClasses(rawValue: 1 << 4)
  /// Unicode's White_Space.
  package static let space = ScalarClasses(rawValue: 1 << 5)
  /// Ideographs up to U+9FA5, Hiragana and Katakana, as DeepSeek's pattern has them.
  static let ideographOrKana = ScalarClasses(rawValue: 1 << 6)
  /// U+000A and U+000D.
  static let lineEnd = ScalarClasses(rawValue: 1 << 8)
  static let newline = ScalarClasses(rawValue: 1 << 9)
  /// U+0020.
  static let blank = ScalarClasses(rawValue: 1 << 10)
  static let apostrophe = ScalarClasses(rawValue: 1 << 11)
  static let slash = ScalarClasses(rawValue: 1 << 12)
  static let asciiLower = ScalarClasses(rawValue: 1 << 13)
  static let asciiUpper = ScalarClasses(rawValue: 1 << 14)
  static let asciiDigit = ScalarClasses(rawValue: 1 << 15)
  /// Printable ASCII that is neither letter nor digit nor U+0020.
  static let asciiPunctuation = ScalarClasses(rawValue: 1 << 16)
  /// `$ + < = > ^ ~ |`
  static let asciiSymbol = ScalarClasses(rawValue: 1 << 17)
  static let backtick = ScalarClasses(rawValue: 1 << 18)

  /// The classes of every scalar below U+110000; the ASCII sets are not in here.
  private static let unicode: [UInt8] = {
    var table = [UInt8](repeating: 0, count: 0x110000)
    var next = 0
    var category: UInt8 = 0
    var length = 0
    func fill() {
      let end = min(next + length, table.count)
      if category != 0 { for point in next..<end { table[point] = category } }
      next = end
    }
    UnicodeTable.runs.withUTF8Buffer { runs in
      for byte in runs {
        switch byte {
        case 48...57: length = length << 4 | Int(byte - 48)
        case 97...102: length = length << 4 | Int(byte - 87)
        default:
          fill()
          length = 0
          category = ScalarClasses.category(byte)
        }
      }
      fill()
    }
    for range in ScalarClasses.spaces { for point in range { table[point] |= UInt8(space.rawValue) } }
    for range in [0x4E00...0x9FA5, 0x3040...0x309F, 0x30A0...0x30FF] {
      for point in range { table[point] |= UInt8(ideographOrKana.rawValue) }
    }
    return table
  }()

  private static func category(_ letter: UInt8) -> UInt8 {
    switch letter {
    case UInt8(ascii: "L"): UInt8(ScalarClasses.letter.rawValue)
    case UInt8(ascii: "M"): UInt8(mark.rawValue)
    case UInt8(ascii: "N"): UInt8(number.rawValue)
    case UInt8(ascii: "P"): UInt8(punctuation.rawValue)
    case UInt8(ascii: "S"): UInt8(symbol.rawValue)
    default: 0
    }
  }

  private static let spaces: [ClosedRange<Int>] = [
    0x09...0x0D, 0x20...0x20, 0x85...0x85, 0xA0...0xA0, 0x1680...0x1680, 0x2000...0x200A, 0x2028...0x2029,
    0x202F...0x202F, 0x205F...0x205F, 0x3000...0x3000,
  ]

  private static let ascii: [ScalarClasses] = (0..<128).map { point in
    var classes = ScalarClasses(rawValue: UInt32(unicode[point]))
    if !classes.isDisjoint(with: [.punctuation, .symbol]) { classes.insert(.asciiPunctuation) }
    switch UInt8(point) {
    case 10: classes.formUnion([.lineEnd, .newline])
    case 13: classes.insert(.lineEnd)
    case 32: classes.insert(.blank)
    case UInt8(ascii: "'"): classes.insert(.apostrophe)
    case UInt8(ascii: "/"): classes.insert(.slash)
    case UInt8(ascii: "`"): classes.insert(.backtick)
    case 48...57: classes.insert(.asciiDigit)
    case 65...90: classes.insert(.asciiUpper)
    case 97...122: classes.insert(.asciiLower)
    default: if classes.contains(.symbol) { classes.insert(.asciiSymbol) }
    }
    return classes
  }

  /// The classes of one code point, or none beyond U+10FFFF.
  package static func at(_ point: Int) -> ScalarClasses {
    if ascii.indices.contains(point) { return ascii[point] }
    return unicode.indices.contains(point) ? ScalarClasses(rawValue: UInt32(unicode[point])) : []
  }

  /// The classes of each scalar of a text, and the scalar itself; nil for a text that is not UTF-8.
  static func scan(_ text: UnsafeBufferPointer<UInt8>) -> [ClassifiedScalar]? {
    var scalars: [ClassifiedScalar] = []
    scalars.reserveCapacity(text.count)
    let (ascii, unicode) = (ascii, unicode)
    var iterator = text.makeIterator()
    var decoder = UTF8()
    while true {
      switch decoder.decode(&iterator) {
      case .scalarValue(let scalar):
        let value = scalar.value
        let classes =
          value < 128 ? ascii[Int(value)] : ScalarClasses(rawValue: UInt32(unicode[Int(value)]))
        scalars.append(ClassifiedScalar(value: value, classes: classes))
      case .emptyInput: return scalars
      case .error: return nil
      }
    }
  }
}

struct ClassifiedScalar {
  let value: UInt32
  let classes: ScalarClasses

  /// Bytes in UTF-8.
  var width: Int { value < 0x80 ? 1 : value < 0x800 ? 2 : value < 0x10000 ? 3 : 4 }
}

/// A set of scalars in terms of their classes, as a bracket expression writes it.
struct ScalarSet: Sendable {
  private let classes: ScalarClasses
  private let isInverted: Bool

  /// Scalars with any of the classes.
  static func any(_ classes: ScalarClasses) -> ScalarSet { ScalarSet(classes: classes, isInverted: false) }

  /// Scalars with none of the classes.
  static func none(_ classes: ScalarClasses) -> ScalarSet { ScalarSet(classes: classes, isInverted: true) }

  func contains(_ scalar: ClassifiedScalar) -> Bool { classes.isDisjoint(with: scalar.classes) == isInverted }
}
