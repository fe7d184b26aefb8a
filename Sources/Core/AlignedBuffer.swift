/// A fixed block of memory, aligned to 64 bytes (one cache line, one AVX-512 register), freed with its owner.
///
/// The buffer never moves and is never resized, so that a pointer taken once stays valid for its owner's lifetime.
/// Sharing it between threads is the caller's business: writers split rows among themselves.
package final class AlignedBuffer<Element: BitwiseCopyable>: @unchecked Sendable {
  package let pointer: UnsafeMutablePointer<Element>
  package let count: Int

  /// - Parameter zeroed: clears the memory; leave it out only where every element is written before it is read.
  package init(count: Int, zeroed: Bool = true) {
    precondition(count >= 0, "AlignedBuffer: negative count")
    let bytes = max(count * MemoryLayout<Element>.stride, 64)
    let raw = UnsafeMutableRawPointer.allocate(byteCount: (bytes + 63) & ~63, alignment: 64)
    if zeroed { raw.initializeMemory(as: UInt8.self, repeating: 0, count: bytes) }
    pointer = raw.bindMemory(to: Element.self, capacity: max(count, 1))
    self.count = count
  }

  deinit { UnsafeMutableRawPointer(pointer).deallocate() }

  package var byteCount: Int { count * MemoryLayout<Element>.stride }
  package var buffer: UnsafeMutableBufferPointer<Element> { .init(start: pointer, count: count) }

  package convenience init(copying elements: some Collection<Element>) {
    self.init(count: elements.count, zeroed: false)
    _ = buffer.initialize(from: elements)
  }
}
