/// Hands out parts of large mappings, for thousands of weights that live and die together: no page is shared out in
/// small pieces, so that nearly all of them are huge, and fewer pages have to be made and cleared while loading.
///
/// Memory goes back to the system when the last part of a mapping is gone. One thread at a time.
package final class MemoryArena {
  private var current: AlignedBuffer<UInt8>?
  private var used = 0

  /// Bytes of a mapping. What is not handed out is never touched and takes no memory.
  private static let mappingBytes = 64 << 20

  package init() {}

  /// Uninitialised bytes, aligned to 64.
  package func allocate(_ count: Int) -> AlignedBuffer<UInt8> {
    precondition(count >= 0, "MemoryArena: negative count")
    let offset = (used + 63) & ~63
    if let current, count <= current.count - min(offset, current.count) {
      used = offset + count
      return AlignedBuffer(partOf: current, at: offset, count: count)
    }
    let mapping = AlignedBuffer<UInt8>(count: max(count, MemoryArena.mappingBytes), zeroed: false)
    current = mapping
    used = count
    return AlignedBuffer(partOf: mapping, at: 0, count: count)
  }
}
