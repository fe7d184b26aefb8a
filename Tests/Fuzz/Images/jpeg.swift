// fuzz-module: OccamCore Sources/Core
// fuzz-module: OccamImages Sources/Images
// fuzz-corpus: Tests/Goldens/images/*.jpg
import OccamImages

/// Any bytes are a picture or a typed error, at full size and scaled while decoding; damage is refused when strict and
/// reported else. The small pixel limit keeps the inputs per second high.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzJPEG(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  let bytes = UnsafeRawBufferPointer(start: data, count: size)
  var options = ImageDecodingOptions(limits: ImageLimits(pixels: 1 << 18))
  guard let result = try? decodeImageWithWarnings(bytes, options: options, subject: "fuzz") else { return 0 }
  precondition(result.image.pixels.count == result.image.width * result.image.height * 3)
  precondition((try? imageSize(of: bytes, limits: options.limits, subject: "fuzz")) == result.fullSize)
  options.wantedSize = ImageSize(width: size % 7 + 1, height: size % 5 + 1)
  let scaled = try? decodeImageWithWarnings(bytes, options: options, subject: "fuzz")
  precondition(scaled?.fullSize == result.fullSize && scaled?.warnings == result.warnings)
  options = ImageDecodingOptions(limits: options.limits, strict: true)
  let strict = try? decodeImageWithWarnings(bytes, options: options, subject: "fuzz")
  precondition(strict == (result.warnings.isEmpty ? result : nil))
  return 0
}
