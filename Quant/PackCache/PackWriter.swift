import Glibc
import OccamCore

/// Where the bytes of a file go, in their order.
package protocol PackSink {
  mutating func write(_ bytes: UnsafeRawBufferPointer) throws(PackCacheError)
  /// Returns when the disk has them.
  mutating func finish() throws(PackCacheError)
}

/// An open file.
package struct PackFileSink: PackSink {
  private let descriptor: Int32
  private let path: String

  package init(descriptor: Int32, path: String) {
    self.descriptor = descriptor
    self.path = path
  }

  package func write(_ bytes: UnsafeRawBufferPointer) throws(PackCacheError) {
    var rest = bytes
    while !rest.isEmpty {
      let count = Glibc.write(descriptor, rest.baseAddress, min(rest.count, 1 << 24))
      if count < 0 {
        if errno == EINTR { continue }
        throw .failed(path)
      }
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
  }

  package func finish() throws(PackCacheError) {
    while fsync(descriptor) != 0 {
      guard errno == EINTR else { throw .failed(path) }
    }
  }
}

/// The layout of a file about to be written.
struct PackWriter {
  /// Header, key and table, up to the first weight's page.
  private let head: [UInt8]
  private let weights: [PackedWeight]
  private let checksum: UInt64
  /// Of the whole file.
  let byteCount: Int

  /// - Parameters:
  ///   - weights: one of a name each.
  ///   - team: computes their checksums.
  init(key: PackKey, weights: [PackedWeight], team: WorkerTeam) {
    self.weights = weights
    let sums = AlignedBuffer<UInt64>(count: weights.count)
    team.parallel(weights.count) { range, _ in
      for index in range { weights[index].bytes.withBytes { sums.pointer[index] = Checksum.of($0) } }
    }
    let keyBytes = Array(key.text.utf8)
    let names = weights.map { Array($0.name.utf8) }
    let tableBytes = names.reduce(0) { $0 + $1.count + PackLayout.recordBytes }
    let body = PackLayout.headerBytes + keyBytes.count + tableBytes
    var offset = PackLayout.aligned(body)
    var table: [UInt8] = []
    table.reserveCapacity(tableBytes)
    for (index, weight) in weights.enumerated() {
      table.append(number: UInt32(names[index].count))
      table += names[index]
      table.append(number: UInt64(offset))
      table.append(number: UInt64(weight.bytes.count))
      table.append(number: sums.pointer[index])
      offset = PackLayout.aligned(offset + weight.bytes.count)
    }
    byteCount = offset + PackLayout.trailerBytes
    var head = PackLayout.magic
    head.append(number: PackLayout.version)
    head.append(number: UInt32(PackLayout.alignment))
    for value in [byteCount, keyBytes.count, tableBytes, weights.count, 0] { head.append(number: UInt64(value)) }
    let checksum = head.withUnsafeBytes { header in
      (keyBytes + table).withUnsafeBytes { PackLayout.checksum(header, $0) }
    }
    head.append(number: checksum)
    head += keyBytes + table
    head += [UInt8](repeating: 0, count: PackLayout.aligned(body) - body)
    self.head = head
    self.checksum = checksum
  }

  /// The trailer last.
  func write(to sink: inout any PackSink) throws(PackCacheError) {
    try PackWriter.put(head, &sink)
    for weight in weights {
      try weight.bytes.withBytes { bytes throws(PackCacheError) in try sink.write(bytes) }
      let count = weight.bytes.count
      try PackWriter.put([UInt8](repeating: 0, count: PackLayout.aligned(count) - count), &sink)
    }
    var trailer = PackLayout.trailerMagic
    trailer.append(number: checksum)
    try PackWriter.put(trailer, &sink)
    try sink.finish()
  }

  private static func put(_ bytes: [UInt8], _ sink: inout any PackSink) throws(PackCacheError) {
    let result: Result<Void, PackCacheError> = bytes.withUnsafeBytes { bytes in
      do throws(PackCacheError) {
        try sink.write(bytes)
        return .success(())
      } catch { return .failure(error) }
    }
    try result.get()
  }
}

extension [UInt8] {
  fileprivate mutating func append(number: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
  }
}
