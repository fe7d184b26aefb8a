/// Bytes that nobody changes any more, and what keeps them alive: memory of this process, or a part of a mapped file.
package struct SharedBytes: @unchecked Sendable {
  package let start: UnsafeRawPointer
  package let count: Int
  private let owner: AnyObject

  /// - Parameter owner: as long as it lives, the `count` bytes at `start` stay and stay as they are.
  package init(_ start: UnsafeRawPointer, count: Int, owner: AnyObject) {
    self.start = start
    self.count = count
    self.owner = owner
  }

  /// Of a buffer that is written no more.
  package init(_ buffer: AlignedBuffer<UInt8>) {
    self.init(UnsafeRawPointer(buffer.pointer), count: buffer.count, owner: buffer)
  }

  /// Calls `body` with the bytes, which are there until it returns.
  package func withBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
    defer { withExtendedLifetime(owner) {} }
    return try body(UnsafeRawBufferPointer(start: start, count: count))
  }
}
