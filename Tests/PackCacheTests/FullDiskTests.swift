import Glibc
import OccamCore
import OccamPackCache
import OccamTestSupport
import Testing

/// A disk that is full after some bytes.
struct ShortSink: PackSink {
  private var file: PackFileSink
  private let path: String
  private var room: Int
  private let finishes: Bool

  init(_ descriptor: Int32, _ path: String, room: Int, finishes: Bool = true) {
    file = PackFileSink(descriptor: descriptor, path: path)
    self.path = path
    self.room = room
    self.finishes = finishes
  }

  mutating func write(_ bytes: UnsafeRawBufferPointer) throws(PackCacheError) {
    try file.write(UnsafeRawBufferPointer(rebasing: bytes[..<min(bytes.count, room)]))
    guard bytes.count <= room else { throw PackCacheError(path, .system(String(cString: strerror(ENOSPC)))) }
    room -= bytes.count
  }

  mutating func finish() throws(PackCacheError) {
    guard finishes else { throw PackCacheError(path, .system(String(cString: strerror(EIO)))) }
    try file.finish()
  }
}

@Suite struct FullDiskTests {
  /// At every byte of header and table, round every page, and in the trailer.
  @Test func nothingIsLeftOfWhatDidNotFit() throws {
    let whole = PackFolder()
    let weights = PackFolder.weights()
    whole.keep(weights)
    let size = try #require(PackFolder.identity(whole.path(PackFolder.key()))).size
    var places = Set(0..<400)
    for page in stride(from: 4096, through: size, by: 4096) { places.formUnion(page - 2...page + 2) }
    for size in PackFolder.sizes { places.formUnion([4096 + size - 1, 4096 + size, 4096 + size + 1]) }
    places.formUnion(size - 20..<size)
    for room in places.filter({ $0 < size }).sorted() {
      let folder = PackFolder()
      let notes = folder.keep(weights, in: folder.cache { ShortSink($0, $1, room: room) })
      #expect(notes.count == 1 && notes[0].contains("No space left on device"), "\(room) bytes: \(notes)")
      #expect(folder.names.isEmpty, "\(room) bytes: \(folder.names)")
    }
    let folder = PackFolder()
    #expect(folder.keep(weights, in: folder.cache { ShortSink($0, $1, room: size) }).isEmpty)
    #expect(folder.has(weights))
  }

  @Test func aDiskThatCannotFinishIsANote() {
    let folder = PackFolder()
    let notes = folder.keep(
      PackFolder.weights(), in: folder.cache { ShortSink($0, $1, room: 1 << 30, finishes: false) })
    #expect(notes.count == 1 && notes[0].contains("Input/output error"), "\(notes)")
    #expect(folder.names.isEmpty)
  }

  /// The old file stays until the new one is whole.
  @Test func whatWasThereStays() {
    let folder = PackFolder()
    let (old, new) = (PackFolder.weights(), PackFolder.weights(seed: 40))
    folder.keep(old)
    let notes = folder.keep(new, PackFolder.key(version: 2), in: folder.cache { ShortSink($0, $1, room: 5000) })
    #expect(notes.count == 2, "\(notes)")
    #expect(folder.has(old) && folder.files.count == 1 && folder.names.count == 1)
  }
}
