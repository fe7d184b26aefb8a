import Glibc
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

  /// What was made ahead and not handed out goes back; what was handed out stays.
  @Test func pagesMadeAheadGoBack() {
    let team = WorkerTeam(threads: 2)
    var arena: MemoryArena? = MemoryArena(team: team)
    var parts: [AlignedBuffer<UInt8>] = []
    // Each ends inside a page, and the next one needs a mapping of its own.
    for index in 0..<3 {
      guard let part = arena?.allocate((70 << 20) + index * 1001 + 1) else { continue }
      part.buffer.update(repeating: UInt8(index + 1))
      parts.append(part)
    }
    arena = nil
    for (index, part) in parts.enumerated() {
      #expect(part.buffer.allSatisfy { $0 == UInt8(index + 1) })
      let page = Int(getpagesize())
      let end = (Int(bitPattern: part.pointer) + part.count + page - 1) / page * page
      var isResident: UInt8 = 1
      let status = mincore(UnsafeMutableRawPointer(bitPattern: end), page, &isResident)
      #expect(status == 0 && isResident & 1 == 0, "a page behind part \(index) stayed")
    }
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
