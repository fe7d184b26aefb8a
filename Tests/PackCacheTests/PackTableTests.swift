import OccamCore
import OccamPackCache
import OccamTestSupport
import Testing

/// The parser of a file of packed weights: whatever the bytes, a typed refusal or a table that holds together.
@Suite struct PackTableTests {
  /// A whole file.
  private static func file() throws -> [UInt8] {
    let folder = PackFolder()
    #expect(folder.keep(PackFolder.weights()).isEmpty)
    return try Files.read(folder.path(PackFolder.key()))
  }

  private static func parse(_ bytes: [UInt8]) -> Result<PackTable, PackCacheError> {
    bytes.withUnsafeBytes { bytes in
      do throws(PackCacheError) {
        return .success(try PackTable(bytes, path: "file"))
      } catch { return .failure(error) }
    }
  }

  private static func refuses(_ bytes: [UInt8]) -> Bool {
    if case .failure = parse(bytes) { true } else { false }
  }

  private static func number(_ bytes: [UInt8], _ offset: Int) -> Int {
    (0..<8).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) }
  }

  /// Where the table ends.
  private static func end(_ bytes: [UInt8]) -> Int { 64 + number(bytes, 24) + number(bytes, 32) }

  @Test func aWholeFileIsRead() throws {
    let bytes = try PackTableTests.file()
    let table = try PackTableTests.parse(bytes).get()
    #expect(table.key == PackFolder.key().text)
    #expect(table.entries.map(\.name) == PackFolder.sizes.indices.map { "weight \($0)" })
    #expect(table.entries.map(\.range.count) == PackFolder.sizes)
    for entry in table.entries {
      #expect(entry.range.lowerBound % 4096 == 0)
      #expect(bytes[entry.range].withUnsafeBytes { Checksum.of($0) } == entry.checksum)
    }
  }

  @Test func everyFlippedBitOfHeaderTableAndTrailerIsSeen() throws {
    let bytes = try PackTableTests.file()
    for place in Array(0..<PackTableTests.end(bytes)) + Array(bytes.count - 16..<bytes.count) {
      for bit in 0..<8 {
        var changed = bytes
        changed[place] ^= 1 << UInt8(bit)
        #expect(PackTableTests.refuses(changed), "bit \(bit) of byte \(place)")
      }
    }
  }

  @Test func everyCutFileIsSeen() throws {
    let bytes = try PackTableTests.file()
    for count in 0..<bytes.count { #expect(PackTableTests.refuses(Array(bytes[..<count])), "\(count) bytes") }
    #expect(PackTableTests.refuses(bytes + [0]))
    // The size is there and the end never reached the disk.
    var zeroed = bytes
    for index in bytes.count - 4096..<bytes.count { zeroed[index] = 0 }
    #expect(PackTableTests.parse(zeroed).failure?.problem == .damaged("end"))
  }

  @Test func refusalsAreNamed() throws {
    let bytes = try PackTableTests.file()
    func problem(_ change: (inout [UInt8]) -> Void) -> PackCacheError.Problem? {
      var changed = bytes
      change(&changed)
      return PackTableTests.parse(changed).failure?.problem
    }
    #expect(PackTableTests.parse([]).failure?.problem == .foreign)
    #expect(PackTableTests.parse(Array("GGUF0000".utf8)).failure?.problem == .foreign)
    #expect(problem { $0[8] = 2 } == .version(2))
    #expect(problem { $0.removeLast(5) } == .truncated(expected: UInt64(bytes.count), found: bytes.count - 5))
    #expect(problem { $0.removeLast($0.count - 40) } == .truncated(expected: 80, found: 40))
    #expect(problem { $0[64] ^= 1 } == .damaged("checksum of header and table"))
  }

  /// Files whose checksums are right and whose content is not: as nobody writes them, but a parser does not know that.
  @Test func changedTablesWithRightChecksumsAreRefusedOrSound() throws {
    let bytes = try PackTableTests.file()
    let end = PackTableTests.end(bytes)
    var random = SeededGenerator(seed: 7)
    func pick(_ count: Int) -> Int { Int(random.next() % UInt64(count)) }
    let numbers: [UInt64] = [0, 1, 63, 4095, 4096, 4097, 1 << 31, 1 << 32, 1 << 62, 1 << 63, .max, .max - 4095]
    var (sound, refused) = (0, 0)
    for round in 0..<20_000 {
      var changed = bytes
      for _ in 0...pick(3) {
        switch pick(4) {
        case 0: changed[8 + pick(end - 8)] ^= 1 << UInt8(pick(8))
        case 1: changed[8 + pick(end - 8)] = UInt8(pick(256))
        case 2:
          let place = 8 + pick(end - 16)
          let value = numbers[pick(numbers.count)]
          for byte in 0..<8 { changed[place + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte)) }
        default:
          // A record's bytes at another's place.
          let (from, to, count) = (64 + pick(end - 64), 64 + pick(end - 64), pick(40))
          for index in 0..<min(count, end - from, end - to) { changed[to + index] = bytes[from + index] }
        }
      }
      if round % 3 == 0 { changed.removeLast(pick(changed.count - 80)) }
      PackTableTests.seal(&changed)
      switch PackTableTests.parse(changed) {
      case .failure: refused += 1
      case .success(let table):
        sound += 1
        #expect(Set(table.entries.map(\.name)).count == table.entries.count)
        for entry in table.entries {
          #expect(entry.range.lowerBound % 4096 == 0 && entry.range.upperBound <= changed.count - 16)
        }
      }
    }
    #expect(sound > 100 && refused > 100, "\(sound) sound, \(refused) refused")
  }

  /// Makes size and checksums right where the sizes leave room for that.
  private static func seal(_ bytes: inout [UInt8]) {
    for byte in 0..<8 { bytes[16 + byte] = UInt8(truncatingIfNeeded: bytes.count >> (8 * byte)) }
    let (key, table) = (number(bytes, 24), number(bytes, 32))
    guard (0..<bytes.count).contains(key), (0..<bytes.count).contains(table), 64 + key + table <= bytes.count - 16
    else { return }
    let sum = bytes.withUnsafeBytes {
      PackLayout.checksum(
        UnsafeRawBufferPointer(rebasing: $0[..<56]), UnsafeRawBufferPointer(rebasing: $0[64..<64 + key + table]))
    }
    for byte in 0..<8 {
      bytes[56 + byte] = UInt8(truncatingIfNeeded: sum >> UInt64(8 * byte))
      bytes[bytes.count - 8 + byte] = bytes[56 + byte]
    }
    bytes.replaceSubrange(bytes.count - 16..<bytes.count - 8, with: PackLayout.trailerMagic)
  }

  @Test func randomBytesBehindTheMagicAreRefused() {
    var random = SeededGenerator(seed: 3)
    for count in 0..<400 {
      let noise = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      #expect(PackTableTests.refuses(PackLayout.magic + noise))
      #expect(PackTableTests.refuses(noise))
    }
  }

  @Test func aChecksumSeesEveryChangedWord() {
    let bytes = (0..<100).map { UInt8($0) }
    let sum = bytes.withUnsafeBytes { Checksum.of($0) }
    var sums: Set<UInt64> = [sum]
    for place in bytes.indices {
      for value in [UInt8(0xff), 0x80, 0x01] {
        var changed = bytes
        changed[place] ^= value
        #expect(sums.insert(changed.withUnsafeBytes { Checksum.of($0) }).inserted)
      }
    }
    for count in 0..<100 { #expect(sums.insert(bytes[..<count].withUnsafeBytes { Checksum.of($0) }).inserted) }
    #expect(Checksum.of("a", seed: 1) != Checksum.of("a", seed: 2))
  }
}

extension Result {
  fileprivate var failure: Failure? { if case .failure(let error) = self { error } else { nil } }
}
