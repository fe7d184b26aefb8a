/// An 8-bit colour.
package struct RGB: Sendable, Equatable {
  package var red, green, blue: UInt8

  package init(_ red: UInt8, _ green: UInt8, _ blue: UInt8) {
    self.red = red
    self.green = green
    self.blue = blue
  }

  package static let white = RGB(255, 255, 255)
  package static let black = RGB(0, 0, 0)

  /// A colour as a flag gives it: "white", "black", "grey" (or "gray"), "#rrggbb", "#rgb" or "red,green,blue" in
  /// 0...255.
  package init?(parsing text: String) {
    switch text {
    case "white": self = .white
    case "black": self = .black
    case "grey", "gray": self = RGB(128, 128, 128)
    default:
      var levels: [UInt8] = []
      if text.utf8.first == UInt8(ascii: "#") {
        let digits = text.utf8.dropFirst().map { Character(UnicodeScalar($0)).hexDigitValue ?? 16 }
        guard digits.count == 3 || digits.count == 6, digits.allSatisfy({ $0 < 16 }) else { return nil }
        let step = digits.count / 3
        for channel in 0..<3 {
          levels.append(UInt8(digits[channel * step] * 16 + digits[channel * step + step - 1]))
        }
      } else {
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
          guard part.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let level = UInt8(part) else { return nil }
          levels.append(level)
        }
      }
      guard levels.count == 3 else { return nil }
      self.init(levels[0], levels[1], levels[2])
    }
  }
}

/// Width and height in pixels.
package struct ImageSize: Sendable, Equatable {
  package var width: Int
  package var height: Int

  package init(width: Int, height: Int) {
    self.width = width
    self.height = height
  }
}

/// How files become pictures.
package struct ImageDecodingOptions: Sendable, Equatable {
  /// Checked on the header, before pixels are allocated.
  package var limits = ImageLimits()
  /// Refuses damage that browsers show through. Otherwise it is shown, with a warning.
  package var strict = false
  /// What transparent pixels are composed on, and what stands where a PNG, GIF, BMP or WebP file ends early.
  package var background = RGB.white
  /// The size that the picture will be resampled to (upright). A JPEG file is then scaled by 1/2, 1/4 or 1/8 while it
  /// is decoded, as long as both sides stay at least twice as long as wanted. Nil: nothing is scaled.
  package var wantedSize: ImageSize?

  package init(
    limits: ImageLimits = ImageLimits(), strict: Bool = false, background: RGB = .white, wantedSize: ImageSize? = nil
  ) {
    self.limits = limits
    self.strict = strict
    self.background = background
    self.wantedSize = wantedSize
  }
}

/// A picture and what was wrong with its file.
package struct DecodedImage: Sendable, Equatable {
  package let image: Image
  /// The upright size that the file states; larger than `image` where it was scaled while decoding.
  package let fullSize: ImageSize
  /// One sentence for each kind of damage, naming the subject; empty for a sound file.
  package let warnings: [String]
}

/// What a decoder does about damage: refuses it when strict, else goes on and keeps what to say.
final class DamageLog {
  let strict: Bool
  private(set) var faults: [ImageFault] = []

  init(strict: Bool) { self.strict = strict }

  func report(_ fault: ImageFault) throws(ImageFault) {
    if strict { throw fault }
    // A file with a thousand bad chunks is one complaint, and so is one that is cut short, whatever that leads to.
    let isKnown =
      if case .truncated = fault {
        faults.contains { if case .truncated = $0 { true } else { false } }
      } else { faults.contains(fault) }
    if !isKnown { faults.append(fault) }
  }

  /// For what other damage leads to: counts only where none was reported.
  func reportConsequence(_ fault: ImageFault) throws(ImageFault) {
    if faults.isEmpty { try report(fault) }
  }
}
