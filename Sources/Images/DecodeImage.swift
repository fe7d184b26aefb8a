/// Decodes a picture, of whatever format its first bytes announce, to 8-bit RGB in the orientation its EXIF data asks
/// for.
///
/// JPEG, PNG, WebP, GIF and BMP are decoded; of an animation the first frame. Transparency is composed on
/// `options.background`. Pixels are those of libjpeg-turbo, libwebp and Pillow; samples are taken as stored, colour
/// profiles are not applied.
/// - Parameters:
///   - subject: what errors and warnings call the data, usually its path.
/// - Returns: the picture, and what was wrong with the file where it is shown all the same.
package func decodeImageWithWarnings(
  _ bytes: UnsafeRawBufferPointer, options: ImageDecodingOptions = ImageDecodingOptions(), subject: String
) throws(ImageError) -> DecodedImage {
  do throws(ImageFault) {
    let data = ByteSource(bytes)
    let log = DamageLog(strict: options.strict)
    let image: Image
    let fullSize: ImageSize
    switch try ImageFormat(of: data) {
    case .jpeg:
      var decoder = JPEGDecoder(data, options: options, log: log)
      image = try decoder.decode()
      fullSize = orientedSize(decoder.storedSize, decoder.orientation)
    case .png:
      var decoder = PNGDecoder(data, options: options, log: log)
      image = try decoder.decode()
      fullSize = image.size
    case .webP:
      var decoder = WebPDecoder(data, options: options, log: log)
      image = try decoder.decode()
      fullSize = image.size
    case .gif:
      image = try GIFDecoder(data: data, options: options, log: log).decode()
      fullSize = image.size
    case .bmp:
      image = try BMPDecoder(data: data, options: options, log: log).decode()
      fullSize = image.size
    }
    return DecodedImage(image: image, fullSize: fullSize, warnings: log.faults.map { $0.about(subject).description })
  } catch {
    throw error.about(subject)
  }
}

/// The same for a file held in an array.
package func decodeImageWithWarnings(
  _ bytes: [UInt8], options: ImageDecodingOptions = ImageDecodingOptions(), subject: String
) throws(ImageError) -> DecodedImage {
  try bytes.withUnsafeBufferPointer { buffer throws(ImageError) -> DecodedImage in
    try decodeImageWithWarnings(UnsafeRawBufferPointer(buffer), options: options, subject: subject)
  }
}

/// `decodeImageWithWarnings` for callers that have no use for the warnings.
package func decodeImage(
  _ bytes: UnsafeRawBufferPointer, options: ImageDecodingOptions = ImageDecodingOptions(), subject: String
) throws(ImageError) -> Image {
  try decodeImageWithWarnings(bytes, options: options, subject: subject).image
}

/// The same for a file held in an array.
package func decodeImage(
  _ bytes: [UInt8], options: ImageDecodingOptions = ImageDecodingOptions(), subject: String
) throws(ImageError) -> Image {
  try decodeImageWithWarnings(bytes, options: options, subject: subject).image
}

/// The size that `decodeImage` would give, after orientation, read from the headers only.
/// - Throws: where the headers are damaged, or name a picture that `decodeImage` would refuse by its size or kind.
package func imageSize(
  of bytes: UnsafeRawBufferPointer, limits: ImageLimits = ImageLimits(), subject: String
) throws(ImageError) -> ImageSize {
  do throws(ImageFault) {
    let data = ByteSource(bytes)
    let log = DamageLog(strict: false)
    let options = ImageDecodingOptions(limits: limits)
    switch try ImageFormat(of: data) {
    case .jpeg:
      var decoder = JPEGDecoder(data, options: options, log: log)
      return try decoder.decodeSize()
    case .png:
      var decoder = PNGDecoder(data, options: options, log: log)
      return try decoder.decodeSize()
    case .webP:
      var decoder = WebPDecoder(data, options: options, log: log)
      return try decoder.decodeSize()
    case .gif: return try GIFDecoder(data: data, options: options, log: log).decodeSize()
    case .bmp: return try BMPDecoder(data: data, options: options, log: log).decodeSize()
    }
  } catch {
    throw error.about(subject)
  }
}

/// The same for a file held in an array.
package func imageSize(
  of bytes: [UInt8], limits: ImageLimits = ImageLimits(), subject: String
) throws(ImageError) -> ImageSize {
  try bytes.withUnsafeBufferPointer { buffer throws(ImageError) -> ImageSize in
    try imageSize(of: UnsafeRawBufferPointer(buffer), limits: limits, subject: subject)
  }
}

/// Refuses what `decodeImage` would refuse by its first bytes, without decoding anything.
package func checkSignature(_ bytes: [UInt8], subject: String) throws(ImageError) {
  try bytes.withUnsafeBufferPointer { buffer throws(ImageError) in
    do throws(ImageFault) { _ = try ImageFormat(of: ByteSource(UnsafeRawBufferPointer(buffer))) } catch {
      throw error.about(subject)
    }
  }
}
