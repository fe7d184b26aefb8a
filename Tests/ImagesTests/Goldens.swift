import OccamCore
import Testing

import OccamImages

/// The files Tests/Goldens/images/make.py wrote.
enum Goldens {
  static let folder: String = {
    var parts = #filePath.split(separator: "/").dropLast(2)
    parts += ["Goldens", "images"]
    return "/" + parts.joined(separator: "/")
  }()

  static func bytes(_ name: String) throws -> [UInt8] { try Files.read("\(folder)/\(name)") }
  static func image(_ name: String) throws -> Image { try decodeImage(bytes(name), subject: name) }

  /// Lines of the manifest that begin with `kind`, split into words.
  static func lines(_ kind: String) -> [[String]] {
    guard let text = try? Files.read("\(folder)/manifest.txt") else { return [] }
    return String(decoding: text, as: UTF8.self).split(separator: "\n")
      .map { $0.split(separator: " ").map(String.init) }.filter { $0.first == kind }
  }
}

/// FNV-1a, 64 bits, in hexadecimal: how the manifest names exact pixels.
func fingerprint(_ bytes: [UInt8]) -> String {
  var value: UInt64 = 0xCBF2_9CE4_8422_2325
  for byte in bytes { value = (value ^ UInt64(byte)) &* 0x100_0000_01B3 }
  let text = String(value, radix: 16)
  return String(repeating: "0", count: 16 - text.count) + text
}

/// What decoding gives: the picture's size, or the kind of refusal.
enum Outcome: Equatable {
  case image(Int, Int)
  case notAnImage, unsupported, truncated, corrupt, tooLarge
}

func outcome(_ bytes: [UInt8], limits: ImageLimits = ImageLimits(), strict: Bool = true) -> Outcome {
  do {
    let image = try decodeImage(bytes, options: ImageDecodingOptions(limits: limits, strict: strict), subject: "test")
    return .image(image.width, image.height)
  } catch {
    switch error {
    case .notAnImage: return .notAnImage
    case .unsupported: return .unsupported
    case .truncated: return .truncated
    case .corrupt: return .corrupt
    case .tooLarge: return .tooLarge
    }
  }
}
