/// The orientation (1...8) in a TIFF structure, as EXIF keeps it: tag 0x0112 of the first directory.
///
/// Broken metadata must not cost the picture: anything malformed counts as 1, upright.
func exifOrientation(tiff: ByteSource) -> Int {
  let little: Bool
  if tiff.starts(with: [0x49, 0x49, 42, 0]) {
    little = true
  } else if tiff.starts(with: [0x4D, 0x4D, 0, 42]) {
    little = false
  } else {
    return 1
  }
  func word(_ offset: Int) -> Int? {
    guard let value = tiff.bigEndian16(offset) else { return nil }
    return little ? (value & 0xFF) << 8 | value >> 8 : value
  }
  func long(_ offset: Int) -> Int? {
    guard let first = word(offset), let second = word(offset + 2) else { return nil }
    return little ? second << 16 | first : first << 16 | second
  }
  guard let directory = long(4), let entries = word(directory) else { return 1 }
  for entry in 0..<entries {
    let offset = directory + 2 + entry * 12
    guard let tag = word(offset) else { return 1 }
    // Type 3 is SHORT; its value sits at the start of the entry's last four bytes.
    if tag == 0x0112, word(offset + 2) == 3, let value = word(offset + 8) { return (1...8).contains(value) ? value : 1 }
  }
  return 1
}

/// The picture turned and mirrored as EXIF orientation `orientation` asks; 5...8 exchange width and height.
func oriented(_ image: Image, _ orientation: Int) -> Image {
  guard (2...8).contains(orientation) else { return image }
  let (width, height) = (image.width, image.height)
  let swapped = orientation >= 5
  let (newWidth, newHeight) = swapped ? (height, width) : (width, height)
  // Source pixel of new pixel (x, y): start + x * stepX + y * stepY, counted in pixels.
  let last = width * height - 1
  let (start, stepX, stepY) =
    switch orientation {
    case 2: (width - 1, -1, width)
    case 3: (last, -1, -width)
    case 4: (width * (height - 1), 1, -width)
    case 5: (0, width, 1)
    case 6: (width * (height - 1), -width, 1)
    case 7: (last, -width, -1)
    default: (width - 1, width, -1)
    }
  let pixels = [UInt8](unsafeUninitializedCapacity: image.pixels.count) { target, count in
    image.pixels.withUnsafeBufferPointer { source in
      for y in 0..<newHeight {
        var from = (start + y * stepY) * 3
        var to = y * newWidth * 3
        for _ in 0..<newWidth {
          target[to] = source[from]
          target[to + 1] = source[from + 1]
          target[to + 2] = source[from + 2]
          to += 3
          from += stepX * 3
        }
      }
    }
    count = image.pixels.count
  }
  return Image(width: newWidth, height: newHeight, pixels: pixels)
}
