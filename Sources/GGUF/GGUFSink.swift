import Glibc
import OccamCore

/// Where a writer's bytes go. Small pieces are gathered, so that a producer may hand over one row at a time.
package final class GGUFSink {
  typealias Consumer = (UnsafeRawBufferPointer) throws(FileError) -> Void

  let subject: String
  /// Bytes written so far.
  package private(set) var position = 0
  private var pending: [UInt8] = []
  private let consume: Consumer
  private static let gathered = 1 << 20

  init(subject: String, consume: @escaping Consumer) {
    self.subject = subject
    self.consume = consume
  }

  package func write(_ bytes: UnsafeRawBufferPointer) throws(GGUFError) {
    position += bytes.count
    if pending.count + bytes.count > GGUFSink.gathered { try flush() }
    if bytes.count > GGUFSink.gathered {
      try emit(bytes)
    } else {
      pending.append(contentsOf: bytes)
    }
  }

  package func write(_ bytes: [UInt8]) throws(GGUFError) {
    var failure: GGUFError?
    bytes.withUnsafeBytes {
      do throws(GGUFError) {
        try write($0)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
  }

  func pad(to alignment: Int) throws(GGUFError) {
    let rest = position & (alignment - 1)
    if rest != 0 { try write([UInt8](repeating: 0, count: alignment - rest)) }
  }

  func flush() throws(GGUFError) {
    let piece = pending
    pending.removeAll(keepingCapacity: true)
    var failure: GGUFError?
    piece.withUnsafeBytes {
      do throws(GGUFError) {
        try emit($0)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
  }

  private func emit(_ bytes: UnsafeRawBufferPointer) throws(GGUFError) {
    guard !bytes.isEmpty else { return }
    do {
      try consume(bytes)
    } catch {
      throw GGUFError(subject, .file, .inaccessible(error))
    }
  }
}

/// A file written piece by piece under a temporary name and renamed when it is complete.
final class FileOutput {
  private let path: String
  private let temporary: String
  private var descriptor: Int32

  init(path: String) throws(FileError) {
    self.path = path
    temporary = "\(path).partial-\(getpid())"
    descriptor = Glibc.open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw FileError(.write, path, errno: errno) }
  }

  func write(_ bytes: UnsafeRawBufferPointer) throws(FileError) {
    var written = 0
    while written < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[written...])
      let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
      if count < 0 {
        if errno == EINTR { continue }
        throw FileError(.write, path, errno: errno)
      }
      written += count
    }
  }

  func finish() throws(FileError) {
    let closed = close(descriptor)
    descriptor = -1
    guard closed == 0, rename(temporary, path) == 0 else { throw FileError(.write, path, errno: errno) }
  }

  /// Removes what was written; after a successful `finish` there is nothing to remove.
  func discard() {
    if descriptor >= 0 { close(descriptor) }
    descriptor = -1
    unlink(temporary)
  }
}

extension [UInt8] {
  mutating func append<T: FixedWidthInteger>(little value: T) {
    Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
  }

  /// A length in 8 bytes, then the bytes.
  mutating func append(counted bytes: some Collection<UInt8>) {
    append(little: UInt64(bytes.count))
    append(contentsOf: bytes)
  }

  mutating func append(_ value: GGUFValue) {
    switch value {
    case .uint8(let v): append(little: v)
    case .int8(let v): append(little: v)
    case .uint16(let v): append(little: v)
    case .int16(let v): append(little: v)
    case .uint32(let v): append(little: v)
    case .int32(let v): append(little: v)
    case .uint64(let v): append(little: v)
    case .int64(let v): append(little: v)
    case .float32(let v): append(little: v.bitPattern)
    case .float64(let v): append(little: v.bitPattern)
    case .bool(let v): append(v ? 1 : 0)
    case .string(let v): append(counted: v.utf8)
    case .malformedString(let v): append(counted: v)
    case .array(let array):
      append(little: array.kind.rawValue)
      append(little: UInt64(array.count))
      append(elements: array)
    }
  }

  private mutating func append(elements array: GGUFArray) {
    switch array {
    case .uint8(let a): append(contentsOf: a)
    case .int8(let a): for v in a { append(little: v) }
    case .uint16(let a): for v in a { append(little: v) }
    case .int16(let a): for v in a { append(little: v) }
    case .uint32(let a): for v in a { append(little: v) }
    case .int32(let a): for v in a { append(little: v) }
    case .uint64(let a): for v in a { append(little: v) }
    case .int64(let a): for v in a { append(little: v) }
    case .float32(let a): for v in a { append(little: v.bitPattern) }
    case .float64(let a): for v in a { append(little: v.bitPattern) }
    case .bool(let a): for v in a { append(v ? 1 : 0) }
    case .string(let a): for index in 0..<a.count { append(counted: a.bytes(index)) }
    }
  }
}
