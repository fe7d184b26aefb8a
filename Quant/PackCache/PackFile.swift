import Glibc
import OccamCore

/// A file of packed weights (`PackLayout`), mapped read-only and shared: processes that map it have its pages in memory
/// once. As long as the object lives, or a weight taken from it, nobody evicts the file.
package final class PackFile {
  private let mapping: PackMapping
  private let entries: [String: PackEntry]

  /// Maps a file and checks all of it but the weights themselves.
  /// - Parameters:
  ///   - key: what the file must have been made for.
  ///   - checksWeights: reads all of it, and compares.
  package init(path: String, key: PackKey, checksWeights: Bool = false) throws(PackCacheError) {
    mapping = try PackMapping(path: path)
    let table = try PackTable(mapping.bytes, path: path)
    guard table.key == key.text else { throw PackCacheError(path, .stale) }
    if checksWeights { try table.checkWeights(mapping.bytes, path: path) }
    entries = Dictionary(uniqueKeysWithValues: table.entries.map { ($0.name, $0) })
  }

  func bytes(_ name: String, count: Int) -> SharedBytes? {
    guard let entry = entries[name], entry.range.count == count, let base = mapping.bytes.baseAddress else {
      return nil
    }
    return SharedBytes(base + entry.range.lowerBound, count: count, owner: mapping)
  }

  /// Marks the file as just used: the oldest go first.
  func touch() { mapping.file.touch() }

  var lock: LockedFile { mapping.file }
}

/// The mapped bytes of an open, locked file.
final class PackMapping: @unchecked Sendable {
  let file: LockedFile
  let bytes: UnsafeRawBufferPointer

  init(path: String) throws(PackCacheError) {
    file = try LockedFile(reading: path)
    let size = file.size
    guard size > 0 else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    guard let base = mmap(nil, size, PROT_READ, MAP_SHARED, file.descriptor, 0), base != MAP_FAILED else {
      throw PackCacheError(path, .system(String(cString: strerror(errno))))
    }
    bytes = UnsafeRawBufferPointer(start: base, count: size)
  }

  deinit {
    if let base = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), bytes.count) }
  }
}

/// A record of the table.
package struct PackEntry: Sendable, Equatable {
  package let name: String
  /// Bytes of the file.
  package let range: Range<Int>
  package let checksum: UInt64
}

/// What stands in front of the weights, and the trailer: read with checked arithmetic, whatever the bytes are.
package struct PackTable {
  package let key: String
  package let entries: [PackEntry]

  /// - Parameter bytes: of the whole file.
  package init(_ bytes: UnsafeRawBufferPointer, path: String) throws(PackCacheError) {
    func damaged(_ what: String) -> PackCacheError { PackCacheError(path, .damaged(what)) }
    guard bytes.count >= 8, bytes[..<8].elementsEqual(PackLayout.magic) else { throw PackCacheError(path, .foreign) }
    guard bytes.count >= PackLayout.headerBytes + PackLayout.trailerBytes else {
      throw PackCacheError(
        path, .truncated(expected: UInt64(PackLayout.headerBytes + PackLayout.trailerBytes), found: bytes.count))
    }
    func number(_ offset: Int) -> UInt64 {
      UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
    }
    func half(_ offset: Int) -> UInt32 {
      UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
    }
    guard half(8) == PackLayout.version else { throw PackCacheError(path, .version(half(8))) }
    guard number(16) == UInt64(bytes.count) else {
      throw PackCacheError(path, .truncated(expected: number(16), found: bytes.count))
    }
    guard half(12) == UInt32(PackLayout.alignment), number(48) == 0 else { throw damaged("header") }
    guard let keyBytes = Int(exactly: number(24)), keyBytes <= PackLayout.mostKeyBytes,
      let tableBytes = Int(exactly: number(32)), tableBytes <= PackLayout.mostTableBytes,
      let count = Int(exactly: number(40)), count <= tableBytes / PackLayout.recordBytes
    else { throw damaged("sizes in the header") }
    let tableStart = PackLayout.headerBytes + keyBytes
    let end = tableStart + tableBytes
    guard end <= bytes.count - PackLayout.trailerBytes else { throw damaged("sizes in the header") }
    let checksum = PackLayout.checksum(
      UnsafeRawBufferPointer(rebasing: bytes[..<PackLayout.checksumOffset]),
      UnsafeRawBufferPointer(rebasing: bytes[PackLayout.headerBytes..<end]))
    guard number(PackLayout.checksumOffset) == checksum else { throw damaged("checksum of header and table") }
    let trailer = bytes.count - PackLayout.trailerBytes
    guard bytes[trailer..<trailer + 8].elementsEqual(PackLayout.trailerMagic), number(trailer + 8) == checksum else {
      throw damaged("end")
    }
    guard let key = String(validating: bytes[PackLayout.headerBytes..<tableStart], as: UTF8.self) else {
      throw damaged("key")
    }
    self.key = key
    // The checksum is no signature: what it lets through is still not believed.
    var entries: [PackEntry] = []
    var names: Set<String> = []
    var (place, free) = (tableStart, PackLayout.aligned(end))
    for _ in 0..<count {
      guard end - place >= PackLayout.recordBytes else { throw damaged("table") }
      let nameBytes = Int(half(place))
      guard nameBytes <= PackLayout.mostNameBytes, nameBytes <= end - place - PackLayout.recordBytes,
        let name = String(validating: bytes[place + 4..<place + 4 + nameBytes], as: UTF8.self),
        names.insert(name).inserted
      else { throw damaged("table") }
      place += 4 + nameBytes
      guard let offset = Int(exactly: number(place)), offset == free,
        let length = Int(exactly: number(place + 8)), offset <= trailer, length <= trailer - offset
      else { throw damaged("table") }
      entries.append(PackEntry(name: name, range: offset..<offset + length, checksum: number(place + 16)))
      free = PackLayout.aligned(offset + length)
      place += 24
    }
    guard place == end, trailer == free else { throw damaged("table") }
    self.entries = entries
  }

  func checkWeights(_ bytes: UnsafeRawBufferPointer, path: String) throws(PackCacheError) {
    for entry in entries {
      let content = UnsafeRawBufferPointer(rebasing: bytes[entry.range])
      guard Checksum.of(content) == entry.checksum else {
        throw PackCacheError(path, .damaged("weights of \(entry.name)"))
      }
    }
  }
}
