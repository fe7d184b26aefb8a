import Glibc

/// A fixed block of memory, aligned to 64 bytes (one cache line, one AVX-512 register), freed with its owner.
///
/// Large blocks are mappings of their own: they come zeroed, return to the system when freed instead of leaving holes in
/// the heap (packed weights and their temporaries alternate while loading).
///
/// The buffer never moves and is never resized, so that a pointer taken once stays valid for its owner's lifetime.
/// Sharing it between threads is the caller's business: writers split rows among themselves.
package final class AlignedBuffer<Element: BitwiseCopyable>: @unchecked Sendable {
  package let pointer: UnsafeMutablePointer<Element>
  package let count: Int

  /// Where the memory comes from.
  private let block: Block
  private enum Block {
    case heap
    /// A mapping of its own, this many bytes.
    case mapped(Int)
    /// A part of another buffer, which lives as long.
    case part(AnyObject)
  }

  /// Bytes from which a block is mapped.
  private static var mappingThreshold: Int { 1 << 20 }

  /// - Parameter zeroed: clears the memory; leave it out only where every element is written before it is read.
  package init(count: Int, zeroed: Bool = true) {
    precondition(count >= 0, "AlignedBuffer: negative count")
    let bytes = (max(count * MemoryLayout<Element>.stride, 64) + 63) & ~63
    self.count = count
    if bytes >= AlignedBuffer.mappingThreshold, let raw = AlignedBuffer.map(bytes) {
      pointer = raw.bindMemory(to: Element.self, capacity: max(count, 1))
      block = .mapped(bytes)
      return
    }
    let raw = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    if zeroed { raw.initializeMemory(as: UInt8.self, repeating: 0, count: bytes) }
    pointer = raw.bindMemory(to: Element.self, capacity: max(count, 1))
    block = .heap
  }

  /// `count` elements of `whole` from `offset` bytes on, kept alive by this one. The content is `whole`'s.
  /// - Precondition: `offset` is a multiple of 64; parts handed to different writers do not overlap.
  package init(partOf whole: AlignedBuffer<UInt8>, at offset: Int, count: Int) {
    precondition(offset >= 0 && offset % 64 == 0, "AlignedBuffer: part not aligned")
    precondition(
      count >= 0 && count <= (whole.count - offset) / MemoryLayout<Element>.stride, "AlignedBuffer: part too large")
    self.count = count
    let raw = UnsafeMutableRawPointer(whole.pointer) + offset
    pointer = raw.bindMemory(to: Element.self, capacity: max(count, 1))
    block = .part(whole)
  }

  /// Starts on a huge page where the block fills one, for systems that use them unasked: kernels before 6.7 do not see to
  /// that.
  private static func map(_ bytes: Int) -> UnsafeMutableRawPointer? {
    let huge = 2 << 20
    let (spare, overflow) = bytes.addingReportingOverflow(bytes >= huge ? huge : 0)
    guard !overflow, let raw = mmap(nil, spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      raw != MAP_FAILED
    else {
      return nil
    }
    guard spare > bytes else { return raw }
    let start = UnsafeMutableRawPointer(bitPattern: (UInt(bitPattern: raw) + UInt(huge - 1)) & ~UInt(huge - 1)) ?? raw
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let end = start + (bytes + page - 1) / page * page
    if start > raw { munmap(raw, start - raw) }
    if raw + spare > end { munmap(end, raw + spare - end) }
    return start
  }

  deinit {
    switch block {
    case .heap: UnsafeMutableRawPointer(pointer).deallocate()
    case .mapped(let bytes): munmap(pointer, bytes)
    case .part: break
    }
  }

  package var byteCount: Int { count * MemoryLayout<Element>.stride }
  package var buffer: UnsafeMutableBufferPointer<Element> { .init(start: pointer, count: count) }

  package convenience init(copying elements: some Collection<Element>) {
    self.init(count: elements.count, zeroed: false)
    _ = buffer.initialize(from: elements)
  }
}
