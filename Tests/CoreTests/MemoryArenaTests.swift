import OccamCore
import Testing

@Suite struct MemoryArenaTests {
  @Test func partsAreAlignedAndDoNotOverlap() {
    let arena = MemoryArena()
    var parts: [AlignedBuffer<UInt8>] = []
    // Sizes that end inside a cache line, none at all, and one larger than a mapping.
    let sizes = [1, 63, 64, 0, 65, 4096, 3 << 20, 130 << 20, 100]
    for (index, size) in sizes.enumerated() {
      let part = arena.allocate(size)
      #expect(part.count == size)
      #expect(Int(bitPattern: part.pointer) % 64 == 0)
      part.buffer.update(repeating: UInt8(index + 1))
      parts.append(part)
    }
    for (index, part) in parts.enumerated() {
      #expect(part.buffer.allSatisfy { $0 == UInt8(index + 1) })
    }
  }

  @Test func partsOutliveTheArena() {
    var arena: MemoryArena? = MemoryArena()
    let part = arena?.allocate(5 << 20)
    part?.buffer.update(repeating: 9)
    arena = nil
    #expect(part?.buffer.last == 9)
  }

  @Test func largeBuffersStartOnHugePagesAndCanBeUsedToTheEnd() {
    for count in [1 << 20, (2 << 20) - 1, 2 << 20, (2 << 20) + 1, (5 << 20) + 4097] {
      let buffer = AlignedBuffer<UInt8>(count: count)
      #expect(buffer.buffer.allSatisfy { $0 == 0 })
      buffer.buffer[count - 1] = 1
      if count >= 2 << 20 { #expect(Int(bitPattern: buffer.pointer) % (2 << 20) == 0) }
    }
  }
}
