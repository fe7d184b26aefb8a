import Glibc

/// Hands out parts of large mappings, for thousands of weights that live and die together, and makes their pages with all
/// threads. Huge pages are not asked for: where a host takes free memory back from its guests, it is the huge blocks that
/// have to be fetched again, and loading took 1.3-2.4 s instead of 0.6-1; products were as fast without, decoding 0-7 %
/// slower, inside its spread.
///
/// Memory goes back to the system when the last part of a mapping is gone. One thread at a time.
package final class MemoryArena {
  private var current: AlignedBuffer<UInt8>?
  private var used = 0
  /// Bytes of `current` whose pages exist.
  private var present = 0
  private let team: WorkerTeam?

  /// Bytes of a mapping. What is not handed out takes no memory, but for pages made ahead until they go back.
  private static let mappingBytes = 128 << 20

  /// Bytes made at once; those of a huge page, for systems that use them unasked.
  private static let pageBytes = 2 << 20
  /// Bytes that appear page by page as they are written: a small model shall not take pages that it does not need.
  private static let unprepared = 8 << 20

  /// - Parameter team: makes the memory's pages, some ahead, each thread its own.
  package init(team: WorkerTeam? = nil) { self.team = team }

  /// Uninitialised bytes, aligned to 64.
  package func allocate(_ count: Int) -> AlignedBuffer<UInt8> {
    precondition(count >= 0, "MemoryArena: negative count")
    let offset = (used + 63) & ~63
    if let current, count <= current.count - min(offset, current.count) {
      used = offset + count
      prepare(current)
      return AlignedBuffer(partOf: current, at: offset, count: count)
    }
    returnRest()
    let mapping = AlignedBuffer<UInt8>(count: max(count, MemoryArena.mappingBytes), zeroed: false)
    current = mapping
    used = count
    present = 0
    prepare(mapping)
    return AlignedBuffer(partOf: mapping, at: 0, count: count)
  }

  deinit { returnRest() }

  /// Gives back what was made ahead in the current mapping and will not be handed out.
  private func returnRest() {
    guard let current else { return }
    let page = Int(getpagesize())
    let first = (used + page - 1) / page * page
    if first < present { madvise(current.pointer + first, present - first, Int32(MADV_DONTNEED)) }
  }

  /// Lets the system make the pages up to `used`, and one more for each thread.
  private func prepare(_ mapping: AlignedBuffer<UInt8>) {
    guard let team, used > max(present, MemoryArena.unprepared) else { return }
    let first = present / MemoryArena.pageBytes
    let last = min(
      (used - 1) / MemoryArena.pageBytes + team.threads, (mapping.count - 1) / MemoryArena.pageBytes)
    present = min((last + 1) * MemoryArena.pageBytes, mapping.count)
    team.parallel(last + 1 - first) { range, _ in
      for page in (first + range.lowerBound)..<(first + range.upperBound) {
        let start = page * MemoryArena.pageBytes
        // Before Linux 5.14 an error: then pages appear as they are written.
        madvise(
          mapping.pointer + start, min(MemoryArena.pageBytes, mapping.count - start), Int32(MADV_POPULATE_WRITE))
      }
    }
  }
}
