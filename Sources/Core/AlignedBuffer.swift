import Glibc

/// A fixed block of memory, aligned to 64 bytes (one cache line, one AVX-512 register), freed with its owner.
///
/// Large blocks are mappings of their own: they come zeroed, return to the system when freed instead of leaving holes in
/// the heap (packed weights and their temporaries alternate while loading), and may take huge pages, which spares
/// streaming weights most of their address translations.
///
/// The buffer never moves and is never resized, so that a pointer taken once stays valid for its owner's lifetime.
/// Sharing it between threads is the caller's business: writers split rows among themselves.
package final class AlignedBuffer<Element: BitwiseCopyable>: @unchecked Sendable {
  package let pointer: UnsafeMutablePointer<Element>
  package let count: Int

  /// Bytes of the mapping; 0 for a block of the heap.
  private let mapped: Int

  /// Bytes from which a block is mapped.
  private static var mappingThreshold: Int { 1 << 20 }

  /// - Parameter zeroed: clears the memory; leave it out only where every element is written before it is read.
  package init(count: Int, zeroed: Bool = true) {
    precondition(count >= 0, "AlignedBuffer: negative count")
    let bytes = (max(count * MemoryLayout<Element>.stride, 64) + 63) & ~63
    self.count = count
    if bytes >= AlignedBuffer.mappingThreshold, let raw = AlignedBuffer.map(bytes) {
      pointer = raw.bindMemory(to: Element.self, capacity: max(count, 1))
      mapped = bytes
      return
    }
    let raw = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    if zeroed { raw.initializeMemory(as: UInt8.self, repeating: 0, count: bytes) }
    pointer = raw.bindMemory(to: Element.self, capacity: max(count, 1))
    mapped = 0
  }

  private static func map(_ bytes: Int) -> UnsafeMutableRawPointer? {
    guard let raw = mmap(nil, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), raw != MAP_FAILED
    else {
      return nil
    }
    madvise(raw, bytes, MADV_HUGEPAGE)
    return raw
  }

  deinit {
    if mapped > 0 {
      munmap(pointer, mapped)
    } else {
      UnsafeMutableRawPointer(pointer).deallocate()
    }
  }

  package var byteCount: Int { count * MemoryLayout<Element>.stride }
  package var buffer: UnsafeMutableBufferPointer<Element> { .init(start: pointer, count: count) }

  package convenience init(copying elements: some Collection<Element>) {
    self.init(count: elements.count, zeroed: false)
    _ = buffer.initialize(from: elements)
  }
}
