/// Bounds-checked reading of a file in memory. Offsets past the end read as nil or false; nothing traps.
///
/// The memory belongs to the caller of `decodeImage` and outlives every decoder.
struct ByteSource {
  let base: UnsafePointer<UInt8>
  let count: Int

  /// Stands in for the absent base address of an empty buffer.
  private nonisolated(unsafe) static let nothing = UnsafePointer(UnsafeMutablePointer<UInt8>.allocate(capacity: 1))

  init(_ bytes: UnsafeRawBufferPointer) {
    base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) ?? Self.nothing
    count = bytes.count
  }

  init(_ base: UnsafePointer<UInt8>, count: Int) {
    self.base = base
    self.count = count
  }

  subscript(_ offset: Int) -> UInt8 {
    precondition(offset >= 0 && offset < count)
    return base[offset]
  }

  func byte(_ offset: Int) -> Int? { offset >= 0 && offset < count ? Int(base[offset]) : nil }

  func bigEndian16(_ offset: Int) -> Int? {
    guard offset >= 0, offset <= count - 2 else { return nil }
    return Int(base[offset]) << 8 | Int(base[offset + 1])
  }

  func bigEndian32(_ offset: Int) -> Int? {
    guard let high = bigEndian16(offset), let low = bigEndian16(offset + 2) else { return nil }
    return high << 16 | low
  }

  func littleEndian16(_ offset: Int) -> Int? {
    guard offset >= 0, offset <= count - 2 else { return nil }
    return Int(base[offset]) | Int(base[offset + 1]) << 8
  }

  func littleEndian24(_ offset: Int) -> Int? {
    guard let low = littleEndian16(offset), let high = byte(offset + 2) else { return nil }
    return high << 16 | low
  }

  func littleEndian32(_ offset: Int) -> Int? {
    guard let low = littleEndian16(offset), let high = littleEndian16(offset + 2) else { return nil }
    return high << 16 | low
  }

  func starts(with mark: [UInt8], at offset: Int = 0) -> Bool {
    guard offset >= 0, mark.count <= count - offset else { return false }
    return (0..<mark.count).allSatisfy { base[offset + $0] == mark[$0] }
  }

  /// Bytes `range` as a source of their own; the range is cut to what exists.
  func slice(_ range: Range<Int>) -> ByteSource {
    let start = min(max(range.lowerBound, 0), count)
    let end = min(max(range.upperBound, start), count)
    return ByteSource(base + start, count: end - start)
  }
}
