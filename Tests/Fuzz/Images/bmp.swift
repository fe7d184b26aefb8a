// fuzz-module: OccamCore Sources/Core
// fuzz-module: OccamImages Sources/Images
// fuzz-corpus: Tests/Goldens/images/*.bmp
import OccamImages

/// Any bytes are a picture or a typed error; damage is refused when strict and reported else.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPicture(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  let bytes = UnsafeRawBufferPointer(start: data, count: size)
  var options = ImageDecodingOptions(limits: ImageLimits(pixels: 1 << 16))
  guard let result = try? decodeImageWithWarnings(bytes, options: options, subject: "fuzz") else { return 0 }
  precondition(result.image.pixels.count == result.image.width * result.image.height * 3)
  precondition((try? imageSize(of: bytes, limits: options.limits, subject: "fuzz")) == result.image.size)
  options.strict = true
  let strict = try? decodeImageWithWarnings(bytes, options: options, subject: "fuzz")
  precondition(strict == (result.warnings.isEmpty ? result : nil))
  return 0
}
