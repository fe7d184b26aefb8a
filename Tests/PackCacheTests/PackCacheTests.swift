import Glibc
import OccamCore
import OccamPackCache
import OccamTestSupport
import Testing

/// The folder: what is kept is found, what is torn, stale or foreign is not, and whatever goes wrong is a note.
@Suite struct PackCacheTests {
  @Test func whatIsKeptIsFound() {
    let folder = PackFolder("\(TemporaryFolder.make())/made/as needed")
    let weights = PackFolder.weights()
    #expect(!folder.has(weights) && folder.names.isEmpty, "looking makes no folder")
    #expect(folder.keep(weights).isEmpty)
    #expect(folder.has(weights) && folder.names == [PackFolder.key().fileName])
    let store = folder.cache().store(PackFolder.key())
    #expect(store.bytes("weight 0", count: 65) == nil && store.bytes("other", count: 64) == nil)
  }

  @Test func aWeightOutlivesItsStore() throws {
    let folder = PackFolder()
    let weights = PackFolder.weights()
    folder.keep(weights)
    let kept = try #require(folder.cache().store(PackFolder.key()).bytes("weight 3", count: 12_288))
    unlink(folder.path(PackFolder.key()))
    let isSame = kept.withBytes { kept in weights[3].bytes.withBytes { $0.elementsEqual(kept) } }
    #expect(isSame)
  }

  @Test func whatIsCompleteIsNotWrittenAgain() {
    let folder = PackFolder()
    let weights = PackFolder.weights()
    folder.keep(weights)
    let before = PackFolder.identity(folder.path(PackFolder.key()))
    let cache = folder.cache()
    let store = cache.store(PackFolder.key())
    for weight in weights { #expect(store.bytes(weight.name, count: weight.bytes.count) != nil) }
    store.keep(weights, team: PackFolder.team)
    #expect(PackFolder.identity(folder.path(PackFolder.key()))?.inode == before?.inode)
    // One more than it holds: all are written anew.
    let more = PackFolder.weights([64, 4096, 4160, 12_288, 128])
    #expect(store.bytes("weight 4", count: 128) == nil)
    store.keep(more + more, team: PackFolder.team)
    #expect(folder.has(more) && cache.takeNotes().isEmpty)
  }

  @Test func anotherVersionTakesThePlaceOfAStaleOne() {
    let folder = PackFolder()
    let (old, new) = (PackFolder.weights(seed: 1), PackFolder.weights(seed: 50))
    folder.keep(old)
    let key = PackFolder.key(version: 2)
    #expect(!folder.has(old, key))
    let notes = folder.keep(new, key)
    #expect(notes.count == 1 && notes[0].contains("another version of the model"), "\(notes)")
    #expect(folder.has(new, key) && !folder.has(old) && folder.files.count == 1)
  }

  @Test func keysDifferInNameOrText() {
    func key(_ path: String, _ identity: String, _ variant: String) -> PackKey {
      PackKey(path: path, identity: [identity], variant: [variant])
    }
    let one = key("/a/m.gguf", "1", "x")
    #expect(key("/a/m.gguf", "2", "x").fileName == one.fileName && key("/a/m.gguf", "2", "x").text != one.text)
    #expect(key("/b/m.gguf", "1", "x").fileName != one.fileName)
    #expect(key("/a/m.gguf", "1", "y").fileName != one.fileName)
    #expect(one.fileName.hasPrefix("m-gguf-"))
    let odd = key("/a/" + String(repeating: "\u{1b}[31m é/..", count: 40), "1", "x").fileName
    #expect(odd.utf8.count < 200 && odd.utf8.allSatisfy { $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "/") })
  }

  @Test(arguments: ["cut", "header", "table", "empty", "foreign", "folder", "link"]) func whatCannotBeUsedIsWrittenAnew(
    damage: String
  ) throws {
    let folder = PackFolder()
    let weights = PackFolder.weights()
    folder.keep(weights)
    let path = folder.path(PackFolder.key())
    var bytes = try Files.read(path)
    unlink(path)
    switch damage {
    case "cut": bytes.removeLast(4096)
    case "header": bytes[40] ^= 1
    case "table": bytes[90] ^= 4
    case "empty": bytes = []
    default: bytes = Array("something else".utf8)
    }
    switch damage {
    case "folder": mkdir(path, 0o755)
    case "link":
      try Files.write(bytes, to: "\(folder.path)/target")
      symlink("target", path)
    default: try Files.write(bytes, to: path)
    }
    let notes = folder.keep(weights)
    #expect(notes.first?.contains(PackFolder.key().fileName) == true, "\(notes)")
    #expect(notes.first?.contains("packing anew") == true, "\(notes)")
    // A folder under the name stays: somebody made it.
    #expect(folder.has(weights) == (damage != "folder"))
    if damage == "link" { #expect(try Files.read("\(folder.path)/target") == bytes, "the link's target stays") }
  }

  @Test func damagedWeightsAreSeenWhenAllIsChecked() throws {
    let folder = PackFolder()
    let weights = PackFolder.weights()
    folder.keep(weights)
    let path = folder.path(PackFolder.key())
    _ = try PackFile(path: path, key: PackFolder.key(), checksWeights: true)
    var bytes = try Files.read(path)
    bytes[bytes.count - 16 - 4096] ^= 1
    try Files.write(bytes, to: path)
    _ = try PackFile(path: path, key: PackFolder.key())
    #expect(throws: PackCacheError(path, .damaged("weights of weight 3"))) {
      try PackFile(path: path, key: PackFolder.key(), checksWeights: true)
    }
  }

  // MARK: Folders

  /// Neither root nor anybody else can make a file or a folder in the kernel's own.
  @Test(arguments: ["/proc/occam/cache", "/proc/self"]) func aFolderThatTakesNothingIsANote(path: String) {
    let folder = PackFolder(path)
    let weights = PackFolder.weights()
    let cache = folder.cache()
    let notes = folder.keep(weights, in: cache)
    #expect(notes.count == 1 && notes[0].contains("were not kept") && notes[0].contains("/proc/"), "\(notes)")
    #expect(folder.keep(weights, in: cache).isEmpty, "said once")
  }

  @Test(arguments: ["", "/inside"]) func aFileInTheFoldersPlaceIsANote(inside: String) throws {
    let path = "\(TemporaryFolder.make())/file"
    try Files.write([1, 2, 3], to: path)
    let notes = PackFolder(path + inside).keep(PackFolder.weights())
    #expect(notes.count == 1 && notes[0].contains("were not kept"), "\(notes)")
    #expect(try Files.read(path) == [1, 2, 3])
  }

  // MARK: Eviction

  @Test func theOldestGoFirst() throws {
    let folder = PackFolder()
    let weights = PackFolder.weights()
    for name in ["a", "b", "c"] { folder.keep(weights, PackFolder.key(name)) }
    let size = try #require(PackFolder.identity(folder.path(PackFolder.key("a")))).size
    for (name, time) in [("a", 3000), ("b", 1000), ("c", 2000)] {
      PackFolder.setUse(folder.path(PackFolder.key(name)), time)
    }
    try Files.write([UInt8](repeating: 0, count: size), to: "\(folder.path)/not ours")
    // Use makes young.
    #expect(folder.has(weights, PackFolder.key("b")))
    let cache = folder.cache(limit: 3 * size)
    #expect(folder.keep(weights, PackFolder.key("d"), in: cache).isEmpty)
    #expect(!folder.has(weights, PackFolder.key("c")), "used longest ago")
    for name in ["a", "b", "d"] { #expect(folder.has(weights, PackFolder.key(name)), "\(name)") }
    // Writing anew counts once.
    #expect(folder.keep(PackFolder.weights(seed: 9), PackFolder.key("d", version: 2), in: cache).count == 1)
    #expect(folder.files.count == 3 && folder.names.contains("not ours"))
  }

  @Test func whatIsInUseStays() throws {
    let folder = PackFolder()
    let weights = PackFolder.weights()
    for name in ["a", "b"] { folder.keep(weights, PackFolder.key(name)) }
    let size = try #require(PackFolder.identity(folder.path(PackFolder.key("a")))).size
    // As another process would: locks belong to who opened the file.
    var reader: PackFile? = try PackFile(path: folder.path(PackFolder.key("a")), key: PackFolder.key("a"))
    PackFolder.setUse(folder.path(PackFolder.key("a")), 1000)
    PackFolder.setUse(folder.path(PackFolder.key("b")), 2000)
    let cache = folder.cache(limit: 2 * size)
    #expect(folder.keep(weights, PackFolder.key("c"), in: cache).isEmpty)
    #expect(folder.files == [PackFolder.key("a"), PackFolder.key("c")].map(\.fileName).sorted())
    // One is another's, one its own.
    let notes = folder.keep(weights, PackFolder.key("d"), in: cache)
    #expect(notes.count == 1 && notes[0].contains("in use"), "\(notes)")
    #expect(folder.files.count == 2)
    withExtendedLifetime(reader) {}
    reader = nil
    #expect(folder.keep(weights, PackFolder.key("d"), in: cache).isEmpty)
    #expect(folder.files == [PackFolder.key("c"), PackFolder.key("d")].map(\.fileName).sorted())
  }

  @Test func whatNeverFitsIsNotWritten() throws {
    let folder = PackFolder()
    let weights = PackFolder.weights()
    folder.keep(weights, PackFolder.key("a"))
    let notes = folder.keep(weights, PackFolder.key("b"), in: folder.cache(limit: 20_000))
    #expect(notes.count == 1 && notes[0].contains("more than the cache may hold (20000)"), "\(notes)")
    #expect(folder.files == [PackFolder.key("a").fileName], "nothing goes for what cannot come")
  }

  @Test func leftoversOfTheKilledGoAndThoseOfTheLivingStay() throws {
    let folder = PackFolder()
    let names = ["dead", "alive"].map { "\(folder.path)/.model.occampack-\($0).occampack-tmp" }
    for name in names { try Files.write([1, 2, 3], to: name) }
    let writer = open(names[1], O_RDWR | O_CLOEXEC)
    #expect(flock(writer, LOCK_EX | LOCK_NB) == 0)
    #expect(folder.keep(PackFolder.weights()).isEmpty)
    #expect(!Files.exists(names[0]) && Files.exists(names[1]))
    close(writer)
    folder.keep(PackFolder.weights(), PackFolder.key("other"))
    #expect(!Files.exists(names[1]))
  }
}
