/// The picture as a PNG file: 8-bit RGB, each row under the filter that leaves the least to code, deflate with matching
/// and a Huffman code of its own per block.
package func encodePNG(_ image: Image) -> [UInt8] {
  var file = PNGDecoder.signature
  var header: [UInt8] = []
  header.appendBigEndian(UInt32(image.width))
  header.appendBigEndian(UInt32(image.height))
  header += [8, 2, 0, 0, 0]
  file.appendChunk("IHDR", header)
  let rows = filteredRows(image)
  // Method 8, window 32 KiB, default level.
  var compressed: [UInt8] = [0x78, 0x9C]
  compressed += deflate(rows)
  compressed.appendBigEndian(rows.withUnsafeBufferPointer { adler32($0) })
  // A chunk's length has 31 bits.
  var start = 0
  while start < compressed.count {
    let end = min(start + 1 << 30, compressed.count)
    file.appendChunk("IDAT", Array(compressed[start..<end]))
    start = end
  }
  file.appendChunk("IEND", [])
  return file
}

extension [UInt8] {
  fileprivate mutating func appendBigEndian(_ value: UInt32) {
    for shift in [24, 16, 8, 0] as [UInt32] { append(UInt8(truncatingIfNeeded: value >> shift)) }
  }

  fileprivate mutating func appendChunk(_ name: String, _ content: [UInt8]) {
    appendBigEndian(UInt32(content.count))
    let start = count
    append(contentsOf: name.utf8)
    append(contentsOf: content)
    appendBigEndian(withUnsafeBufferPointer { CRC32.of(UnsafeBufferPointer(rebasing: $0[start...])) })
  }
}

/// Every row with its filter byte; per row the filter with the smallest sum of absolute differences (PNG section 12.8).
private func filteredRows(_ image: Image) -> [UInt8] {
  let bytes = image.width * 3
  let zeros = [UInt8](repeating: 0, count: bytes)
  var candidates = [[UInt8]](repeating: zeros, count: 5)
  var result: [UInt8] = []
  result.reserveCapacity((bytes + 1) * image.height)
  image.pixels.withUnsafeBufferPointer { pixels in
    zeros.withUnsafeBufferPointer { zeros in
      for y in 0..<image.height {
        let row = UnsafeBufferPointer(rebasing: pixels[y * bytes..<(y + 1) * bytes])
        let above = y == 0 ? zeros : UnsafeBufferPointer(rebasing: pixels[(y - 1) * bytes..<y * bytes])
        var best = 0
        var bestSum = Int.max
        for filter in 0..<5 {
          let sum = candidates[filter].withUnsafeMutableBufferPointer { filterRow(row, above, filter, $0) }
          if sum < bestSum { (best, bestSum) = (filter, sum) }
        }
        result.append(UInt8(best))
        result.append(contentsOf: candidates[best])
      }
    }
  }
  return result
}

/// - Returns: the sum of the filtered bytes' magnitudes as signed numbers.
private func filterRow(
  _ row: UnsafeBufferPointer<UInt8>, _ above: UnsafeBufferPointer<UInt8>, _ filter: Int,
  _ out: UnsafeMutableBufferPointer<UInt8>
) -> Int {
  // Nothing is left of the first pixel.
  let first = min(3, row.count)
  var sum = 0
  @inline(__always)
  func each(_ range: Range<Int>, _ predict: (Int) -> UInt8) {
    for index in range {
      let value = row[index] &- predict(index)
      out[index] = value
      sum &+= Int(Int8(bitPattern: value).magnitude)
    }
  }
  switch filter {
  case 0: each(0..<row.count) { _ in 0 }
  case 1:
    each(0..<first) { _ in 0 }
    each(first..<row.count) { row[$0 - 3] }
  case 2: each(0..<row.count) { above[$0] }
  case 3:
    each(0..<first) { above[$0] >> 1 }
    each(first..<row.count) { UInt8(truncatingIfNeeded: (Int(row[$0 - 3]) + Int(above[$0])) >> 1) }
  default:
    each(0..<first) { above[$0] }
    each(first..<row.count) {
      UInt8(truncatingIfNeeded: paeth(Int(row[$0 - 3]), Int(above[$0]), Int(above[$0 - 3])))
    }
  }
  return sum
}
