/// Decodes a JPEG or PNG file, whichever the first bytes announce, to 8-bit RGB in the orientation its EXIF data asks for.
///
/// Transparency is dropped, not blended: Pillow's `convert("RGB")` and stb_image with three channels asked for (what
/// llama.cpp uses) both keep the colour under it. stb_image ignores EXIF orientation; this function does not.
/// - Parameters:
///   - limits: checked on the header, before pixels are allocated.
///   - subject: what errors call the data, usually its path.
package func decodeImage(
  _ bytes: UnsafeRawBufferPointer, limits: ImageLimits = ImageLimits(), subject: String
) throws(ImageError) -> Image {
  do throws(ImageFault) {
    let data = ByteSource(bytes)
    switch try sniff(data) {
    case .jpeg:
      var decoder = JPEGDecoder(data, limits: limits)
      let image = try decoder.decode()
      return oriented(image, decoder.orientation)
    case .png:
      var decoder = PNGDecoder(data, limits: limits)
      let image = try decoder.decode()
      return oriented(image, decoder.orientation)
    }
  } catch {
    throw error.about(subject)
  }
}

/// Decodes a JPEG or PNG file held in an array.
package func decodeImage(
  _ bytes: [UInt8], limits: ImageLimits = ImageLimits(), subject: String
) throws(ImageError) -> Image {
  try bytes.withUnsafeBufferPointer { buffer throws(ImageError) -> Image in
    try decodeImage(UnsafeRawBufferPointer(buffer), limits: limits, subject: subject)
  }
}

/// Refuses what `decodeImage` would refuse by its first bytes, without decoding anything.
package func checkSignature(_ bytes: [UInt8], subject: String) throws(ImageError) {
  try bytes.withUnsafeBufferPointer { buffer throws(ImageError) in
    do throws(ImageFault) { _ = try sniff(ByteSource(UnsafeRawBufferPointer(buffer))) } catch {
      throw error.about(subject)
    }
  }
}

private enum Format { case jpeg, png }

private func sniff(_ data: ByteSource) throws(ImageFault) -> Format {
  if data.count == 0 { throw .notAnImage("it is empty") }
  if data.starts(with: [0xFF, 0xD8, 0xFF]) { return .jpeg }
  if data.starts(with: PNGDecoder.signature) { return .png }
  // Any beginning of a signature is a file cut very short.
  for signature in [[0xFF, 0xD8, 0xFF], PNGDecoder.signature] where data.count < signature.count {
    if (0..<data.count).allSatisfy({ data[$0] == signature[$0] }) { throw .truncated("it ends inside the signature") }
  }
  let others: [(name: String, offset: Int, mark: [UInt8])] = [
    ("GIF", 0, Array("GIF8".utf8)), ("WebP", 8, Array("WEBP".utf8)), ("BMP", 0, Array("BM".utf8)),
    ("TIFF", 0, [0x49, 0x49, 42, 0]), ("TIFF", 0, [0x4D, 0x4D, 0, 42]), ("HEIF or AVIF", 4, Array("ftyp".utf8)),
    ("JPEG XL", 0, [0xFF, 0x0A]), ("JPEG 2000", 4, Array("jP  ".utf8)),
  ]
  for other in others where data.starts(with: other.mark, at: other.offset) {
    throw .unsupported("it looks like \(other.name); JPEG and PNG are decoded")
  }
  throw .notAnImage("it starts like neither JPEG nor PNG")
}
