import Glibc
import OccamCore
import OccamPackCache
import OccamTestSupport
import Testing

/// A folder of packed weights, and small weights to keep there.
struct PackFolder {
  let path: String
  static let team = WorkerTeam(threads: 2)

  init(_ path: String = TemporaryFolder.make()) { self.path = path }

  var names: [String] { Files.list(path) }
  var files: [String] { names.filter { $0.hasSuffix(PackKey.suffix) } }

  func cache(
    limit: Int = PackCache.defaultByteLimit,
    sink: @escaping PackCache.MakeSink = { PackFileSink(descriptor: $0, path: $1) }
  ) -> PackCache {
    PackCache(folder: path, byteLimit: limit, makeSink: sink)
  }

  func path(_ key: PackKey) -> String { "\(path)/\(key.fileName)" }

  static func key(_ name: String = "model", version: Int = 1) -> PackKey {
    PackKey(path: "/models/\(name).gguf", identity: ["version \(version)"], variant: ["kernels none"])
  }

  /// Sizes that end inside a page, on one, and in more than a page; 64 at least.
  static let sizes = [64, 4096, 4160, 12_288]

  static func weights(_ sizes: [Int] = sizes, seed: UInt64 = 1) -> [PackedWeight] {
    sizes.enumerated().map { index, size in
      PackedWeight(name: "weight \(index)", bytes: SharedBytes(content(size, seed &+ UInt64(index))))
    }
  }

  static func content(_ size: Int, _ seed: UInt64) -> AlignedBuffer<UInt8> {
    var random = SeededGenerator(seed: seed)
    return AlignedBuffer(copying: (0..<size).map { _ in UInt8(truncatingIfNeeded: random.next()) })
  }

  /// Keeps `weights` as one load of a model would. - Returns: the notes of it.
  @discardableResult
  func keep(_ weights: [PackedWeight], _ key: PackKey = key(), in cache: PackCache? = nil) -> [String] {
    let cache = cache ?? self.cache()
    cache.store(key).keep(weights, team: PackFolder.team)
    return cache.takeNotes()
  }

  /// Whether a store has all of `weights`, byte by byte.
  func has(_ weights: [PackedWeight], _ key: PackKey = key(), in cache: PackCache? = nil) -> Bool {
    let store = (cache ?? self.cache()).store(key)
    return weights.allSatisfy { weight in
      guard let kept = store.bytes(weight.name, count: weight.bytes.count) else { return false }
      return kept.withBytes { kept in
        weight.bytes.withBytes { $0.elementsEqual(kept) } && Int(bitPattern: kept.baseAddress) % 4096 == 0
      }
    }
  }

  /// Sets when a file was used last.
  static func setUse(_ path: String, _ seconds: Int) {
    var times = [timespec(tv_sec: seconds, tv_nsec: 0), timespec(tv_sec: seconds, tv_nsec: 0)]
    utimensat(AT_FDCWD, path, &times, 0)
  }

  static func identity(_ path: String) -> FileIdentity? {
    var status = stat()
    return lstat(path, &status) == 0 ? FileIdentity(status) : nil
  }
}
