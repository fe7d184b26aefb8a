// fuzz-module: OccamCore Sources/Core
// fuzz-module: OccamImages Sources/Images
// fuzz-corpus: Tests/Goldens/images/*.jpg
import OccamImages

/// Any bytes are a picture or a typed error. The small pixel limit keeps the inputs per second high.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzJPEG(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  let bytes = UnsafeRawBufferPointer(start: data, count: size)
  if let image = try? decodeImage(bytes, limits: ImageLimits(pixels: 1 << 18), subject: "fuzz") {
    precondition(image.pixels.count == image.width * image.height * 3)
  }
  return 0
}
