import OccamCore

/// GIF (versions 87a and 89a): the first frame on its canvas, interlaced or not, with a transparent index.
///
/// Memory beside the picture: one byte for each pixel of the frame.
struct GIFDecoder {
  let data: ByteSource
  let options: ImageDecodingOptions
  let log: DamageLog

  private struct Frame {
    let x, y, width, height: Int
    let interlaced: Bool
    /// RGB triples; indices beyond are black.
    let palette: ByteSource
    let transparent: Int?
    /// Where the compressed data starts.
    let position: Int
  }

  static func matches(_ data: ByteSource) -> Bool {
    data.starts(with: Array("GIF87a".utf8)) || data.starts(with: Array("GIF89a".utf8))
  }

  /// The canvas; a first frame that is larger widens it, as in browsers.
  func decodeSize() throws(ImageFault) -> ImageSize { try readHeaders().size }

  func decode() throws(ImageFault) -> Image {
    let (frame, size) = try readHeaders()
    let canvas = OrientedCanvas(
      width: size.width, height: size.height, orientation: 1, background: options.background)
    let indices = AlignedBuffer<UInt8>(count: frame.width * frame.height)
    let (count, fault) = try decompress(frame, indices)
    // Rows that are not complete stay background.
    let rows = count / frame.width
    if let fault {
      guard rows > 0 else { throw fault }
      try log.report(fault)
    }
    let colours = AlignedBuffer<UInt8>(count: 768)
    colours.pointer.update(from: frame.palette.base, count: frame.palette.count)
    for (number, y) in Self.rowOrder(frame.height, interlaced: frame.interlaced).prefix(rows).enumerated() {
      canvas.withPixels(x: frame.x, y: frame.y + y) { target, step in
        for x in 0..<frame.width {
          let index = Int(indices.pointer[number * frame.width + x])
          guard index != frame.transparent else { continue }
          let (from, out) = (colours.pointer + 3 * index, target + x * step)
          (out[0], out[1], out[2]) = (from[0], from[1], from[2])
        }
      }
    }
    return canvas.image()
  }

  private func readHeaders() throws(ImageFault) -> (frame: Frame, size: ImageSize) {
    guard let width = data.littleEndian16(6), let height = data.littleEndian16(8), let flags = data.byte(10),
      data.count >= 13
    else { throw .truncated("it ends inside the screen descriptor") }
    var position = 13
    let global = palette(flags, &position)
    var transparent: Int?
    while true {
      guard let kind = data.byte(position) else { throw .truncated("it ends before a picture") }
      switch kind {
      case 0x21:
        // Graphic control: flags, delay, transparent index.
        if data.byte(position + 1) == 0xF9, data.byte(position + 2) == 4, let flags = data.byte(position + 3) {
          transparent = flags & 1 == 1 ? data.byte(position + 6) : nil
        }
        position += 2
        while let size = data.byte(position), size > 0 { position += 1 + size }
        position += 1
      case 0x2C:
        guard let x = data.littleEndian16(position + 1), let y = data.littleEndian16(position + 3),
          let w = data.littleEndian16(position + 5), let h = data.littleEndian16(position + 7),
          let flags = data.byte(position + 9)
        else { throw .truncated("it ends inside the image descriptor") }
        position += 10
        let local = palette(flags, &position)
        let size = ImageSize(width: max(width, x + w), height: max(height, y + h))
        try options.limits.check(width: size.width, height: size.height)
        guard w > 0, h > 0 else { throw .corrupt("its first frame has no pixels") }
        guard let colours = local ?? global else { throw .corrupt("it has no palette") }
        let frame = Frame(
          x: x, y: y, width: w, height: h, interlaced: flags & 0x40 != 0, palette: colours, transparent: transparent,
          position: position)
        return (frame, size)
      case 0x3B: throw .corrupt("it ends without a picture")
      // Zero bytes between blocks are left by some writers.
      case 0: position += 1
      default: throw .corrupt("it has a block of the unknown kind \(kind)")
      }
    }
  }

  private func palette(_ flags: Int, _ position: inout Int) -> ByteSource? {
    guard flags & 0x80 != 0 else { return nil }
    let size = 3 << (flags & 7 + 1)
    let colours = data.slice(position..<position + size)
    position += size
    return colours
  }

  /// The picture's rows in the order they are sent.
  private static func rowOrder(_ height: Int, interlaced: Bool) -> [Int] {
    guard interlaced else { return Array(0..<height) }
    return [(0, 8), (4, 8), (2, 4), (1, 2)].flatMap { start, step in
      Array(stride(from: start, to: height, by: step))
    }
  }

  /// LZW with codes of growing size (GIF89a, appendix F).
  /// - Returns: how many indices there were, and what was wrong.
  private func decompress(
    _ frame: Frame, _ out: AlignedBuffer<UInt8>
  ) throws(ImageFault) -> (count: Int, fault: ImageFault?) {
    guard let rootBits = data.byte(frame.position) else { throw .truncated("it ends before its pixels") }
    guard (1...11).contains(rootBits) else { throw .corrupt("its LZW codes start with \(rootBits) bits") }
    var table = LZWTable(rootBits: rootBits)
    var position = frame.position + 1
    var (blockLeft, bits, available) = (0, 0, 0)
    var written = 0
    while written < out.count {
      while available < table.codeBits {
        if blockLeft == 0 {
          guard let size = data.byte(position) else { return (written, .truncated("it ends inside its pixels")) }
          guard size > 0 else { return (written, .corrupt("its pixels end early")) }
          position += 1
          blockLeft = size
        }
        guard let byte = data.byte(position) else { return (written, .truncated("it ends inside its pixels")) }
        bits |= byte << available
        available += 8
        position += 1
        blockLeft -= 1
      }
      let code = bits & (1 << table.codeBits - 1)
      bits >>= table.codeBits
      available -= table.codeBits
      if code == table.endCode { return (written, .corrupt("its pixels end early")) }
      if code == table.clearCode {
        table.clear()
        continue
      }
      guard let length = table.append(code, out.pointer + written, room: out.count - written) else {
        return (written, .corrupt("its pixels have a code that means nothing"))
      }
      written += length
    }
    return (written, nil)
  }
}

/// The strings that LZW codes stand for, each a shorter one and a last index.
private struct LZWTable {
  let clearCode: Int
  var endCode: Int { clearCode + 1 }
  private(set) var codeBits: Int
  private let rootBits: Int
  private var count: Int
  private var previous: Int?
  private let prefix = AlignedBuffer<UInt16>(count: 4096)
  private let last = AlignedBuffer<UInt8>(count: 4096)
  private let first = AlignedBuffer<UInt8>(count: 4096)
  private let length = AlignedBuffer<UInt16>(count: 4096)

  init(rootBits: Int) {
    self.rootBits = rootBits
    clearCode = 1 << rootBits
    count = clearCode + 2
    codeBits = rootBits + 1
    for code in 0..<clearCode {
      // Of roots beyond a byte no palette has a colour.
      last.pointer[code] = UInt8(truncatingIfNeeded: code)
      first.pointer[code] = UInt8(truncatingIfNeeded: code)
      length.pointer[code] = 1
    }
  }

  mutating func clear() {
    count = clearCode + 2
    codeBits = rootBits + 1
    previous = nil
  }

  /// Writes the string of `code`, cut to `room`, and learns the next one.
  /// - Returns: how many indices were written; nil where the code is not known yet.
  mutating func append(_ code: Int, _ out: UnsafeMutablePointer<UInt8>, room: Int) -> Int? {
    let isNew = code == count && previous != nil && count < 4096
    guard code < count || isNew, code != clearCode, code != clearCode + 1 else { return nil }
    if let previous, count < 4096 {
      prefix.pointer[count] = UInt16(previous)
      first.pointer[count] = first.pointer[previous]
      length.pointer[count] = length.pointer[previous] &+ 1
      last.pointer[count] = isNew ? first.pointer[previous] : first.pointer[code]
      count += 1
      if count == 1 << codeBits, codeBits < 12 { codeBits += 1 }
    }
    previous = code
    let size = Int(length.pointer[code])
    var walk = code
    for index in stride(from: size - 1, through: 0, by: -1) {
      if index < room { out[index] = last.pointer[walk] }
      walk = Int(prefix.pointer[walk])
    }
    return min(size, room)
  }
}
