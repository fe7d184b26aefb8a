import OccamCore

extension JPEGDecoder {
  mutating func readQuantTables(_ segment: ByteSource) throws(ImageFault) {
    var offset = 0
    while let head = segment.byte(offset) {
      let wide = head >> 4 != 0
      guard head & 15 < 4, head >> 4 <= 1 else { throw .corrupt("a quantisation table has a bad number") }
      guard segment.count - offset > (wide ? 128 : 64) else { throw .corrupt("a quantisation table is too short") }
      let table = AlignedBuffer<Int32>(count: 64)
      for index in 0..<64 {
        let step = wide ? segment.bigEndian16(offset + 1 + 2 * index) : segment.byte(offset + 1 + index)
        table.pointer[Int(JPEGZigzag.pointer[index])] = Int32(step ?? 0)
      }
      quantTables[head & 15] = table
      offset += wide ? 129 : 65
    }
  }

  mutating func readHuffmanTables(_ segment: ByteSource) throws(ImageFault) {
    var offset = 0
    while let head = segment.byte(offset) {
      guard head >> 4 <= 1, head & 15 < 4 else { throw .corrupt("a Huffman table has a bad number") }
      guard segment.count - offset >= 17 else { throw .corrupt("a Huffman table is too short") }
      let counts = (1...16).map { Int(segment[offset + $0]) }
      let total = counts.reduce(0, +)
      guard total <= 256, total <= segment.count - offset - 17 else {
        throw .corrupt("a Huffman table has a bad length")
      }
      let values = segment.slice(offset + 17..<offset + 17 + total)
      let isAC = head >> 4 == 1
      let table = try JPEGHuffmanTable(counts: counts, values: values, maxSymbol: isAC ? 255 : 15)
      if isAC { acTables[head & 15] = table } else { dcTables[head & 15] = table }
      offset += 17 + total
    }
  }
}
