/// The formats that are decoded, told apart by content; names of files do not count.
enum ImageFormat {
  case jpeg, png, webP, gif, bmp

  /// - Throws: `.unsupported` naming the format of a picture that is not decoded, `.notAnImage` for anything else.
  init(of data: ByteSource) throws(ImageFault) {
    if data.count == 0 { throw .notAnImage("it is empty") }
    if data.starts(with: [0xFF, 0xD8, 0xFF]) {
      self = .jpeg
    } else if data.starts(with: PNGDecoder.signature) {
      self = .png
    } else if WebPDecoder.matches(data) {
      self = .webP
    } else if GIFDecoder.matches(data) {
      self = .gif
    } else if BMPDecoder.matches(data) {
      self = .bmp
    } else {
      throw Self.refusal(data)
    }
  }

  private static func refusal(_ data: ByteSource) -> ImageFault {
    // Any beginning of a signature is a file cut very short.
    for signature in [[0xFF, 0xD8, 0xFF], PNGDecoder.signature] where data.count < signature.count {
      if (0..<data.count).allSatisfy({ data[$0] == signature[$0] }) {
        return .truncated("it ends inside the signature")
      }
    }
    guard let name = otherFormat(data) else { return .notAnImage("it starts like no picture") }
    return .unsupported("it is \(name); JPEG, PNG, WebP, GIF and BMP are decoded")
  }

  /// Name of a format that is recognised and not decoded.
  private static func otherFormat(_ data: ByteSource) -> String? {
    if data.starts(with: Array("ftyp".utf8), at: 4) {
      let brand = String(decoding: (8..<12).compactMap { data.byte($0).map { UInt8($0) } }, as: UTF8.self)
      switch brand {
      case "avif", "avis": return "AVIF"
      case "heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1": return "HEIF (HEIC)"
      default: return "an ISO media file of the brand '\(brand.filter { $0.isASCII && ($0.isLetter || $0.isNumber) })'"
      }
    }
    let others: [(name: String, offset: Int, mark: [UInt8])] = [
      ("TIFF", 0, [0x49, 0x49, 42, 0]), ("TIFF", 0, [0x4D, 0x4D, 0, 42]), ("TIFF", 0, [0x49, 0x49, 43, 0]),
      ("TIFF", 0, [0x4D, 0x4D, 0, 43]), ("JPEG XL", 0, [0xFF, 0x0A]), ("JPEG XL", 4, Array("JXL ".utf8)),
      ("JPEG 2000", 4, Array("jP  ".utf8)), ("JPEG 2000", 0, [0xFF, 0x4F, 0xFF, 0x51]), ("PDF", 0, Array("%PDF-".utf8)),
      ("ICO", 0, [0, 0, 1, 0]), ("a Windows cursor", 0, [0, 0, 2, 0]), ("a Photoshop file", 0, Array("8BPS".utf8)),
      ("QOI", 0, Array("qoif".utf8)),
    ]
    if let other = others.first(where: { data.starts(with: $0.mark, at: $0.offset) }) { return other.name }
    // SVG is text: its root stands behind an optional mark, declaration and comments.
    let head = String(decoding: UnsafeBufferPointer(start: data.base, count: min(data.count, 1024)), as: UTF8.self)
    let start = head.drop { $0.isWhitespace || $0 == "\u{FEFF}" }
    return start.hasPrefix("<svg") || start.hasPrefix("<") && head.contains("<svg") ? "SVG" : nil
  }
}
