// fuzz-module: OccamCore Sources/Core
// fuzz-module: OccamPackCache Quant/PackCache
// fuzz-corpus: Tests/Fuzz/PackCache/seeds/*
// fuzz-words: Tests/Fuzz/PackCache/pack.dict
import OccamCore
import OccamPackCache

/// Arbitrary bytes as a file of packed weights, as they are and with their checksums made right: reading refuses or
/// succeeds, and what was read lies inside the file.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzPack(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  var bytes = Array(UnsafeBufferPointer(start: start, count: count))
  check(bytes)
  seal(&bytes)
  check(bytes)
  return 0
}

private func check(_ bytes: [UInt8]) {
  bytes.withUnsafeBytes { bytes in
    guard let table = try? PackTable(bytes, path: "fuzz") else { return }
    precondition(Set(table.entries.map(\.name)).count == table.entries.count)
    var free = 0
    for entry in table.entries {
      precondition(entry.range.lowerBound >= free && entry.range.upperBound <= bytes.count)
      free = entry.range.upperBound
    }
  }
}

/// Size, checksums and trailer as a writer would have set them.
private func seal(_ bytes: inout [UInt8]) {
  guard bytes.count >= PackLayout.headerBytes + PackLayout.trailerBytes else { return }
  func set(_ value: UInt64, _ place: Int) {
    for byte in 0..<8 { bytes[place + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte)) }
  }
  func number(_ place: Int) -> Int { (0..<7).reduce(0) { $0 | Int(bytes[place + $1]) << (8 * $1) } }
  set(UInt64(bytes.count), 16)
  let end = PackLayout.headerBytes + number(24) + number(32)
  guard end <= bytes.count - PackLayout.trailerBytes else { return }
  let sum = bytes.withUnsafeBytes {
    PackLayout.checksum(
      UnsafeRawBufferPointer(rebasing: $0[..<PackLayout.checksumOffset]),
      UnsafeRawBufferPointer(rebasing: $0[PackLayout.headerBytes..<end]))
  }
  set(sum, PackLayout.checksumOffset)
  bytes.replaceSubrange(bytes.count - 16..<bytes.count - 8, with: PackLayout.trailerMagic)
  set(sum, bytes.count - 8)
}
