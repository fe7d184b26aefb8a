import Glibc
import OccamCore

/// A folder of packed weights, one file for each model file and way of loading it. Any number of processes share it.
///
/// A file that is written takes its place by a rename. The least recently used files go when the folder would hold more
/// than `byteLimit`, but never one that a process has open or that this one made or read. Whatever goes wrong is a note:
/// weights can always be packed again. Whoever may write to the folder decides what is computed, as with models' files.
package final class PackCache: Sendable {
  package typealias MakeSink = @Sendable (_ descriptor: Int32, _ path: String) -> any PackSink

  package let folder: String
  /// Bytes that all files together may take.
  package let byteLimit: Int
  private let makeSink: MakeSink
  private let said = Guarded(Said())
  /// Files that this process read or wrote last, by name: others shall not evict them while it runs.
  private let held = Guarded<[String: LockedFile]>([:])

  private struct Said {
    var texts: Set<String> = []
    var new: [String] = []
  }

  package static let defaultByteLimit = 16 << 30
  private static let temporarySuffix = ".occampack-tmp"

  /// - Parameters:
  ///   - folder: made when something is to be written, if it is missing.
  ///   - makeSink: takes what is written, in the place of the open file itself.
  package init(
    folder: String, byteLimit: Int = PackCache.defaultByteLimit,
    makeSink: @escaping MakeSink = { PackFileSink(descriptor: $0, path: $1) }
  ) {
    self.folder = folder
    self.byteLimit = byteLimit
    self.makeSink = makeSink
  }

  /// What a user should hear of files that were not used or not written, since the last call; each text once.
  package func takeNotes() -> [String] {
    said.withLock { said in
      defer { said.new = [] }
      return said.new
    }
  }

  private func note(_ text: String) {
    said.withLock { if $0.texts.insert(text).inserted { $0.new.append(text) } }
  }

  // MARK: Reading

  /// The weights kept for `key`, to be read and, if some are missing, to be written anew.
  package func store(_ key: PackKey) -> any PackedWeightStore { Store(self, key, read(key)) }

  /// - Returns: nil if there is no file; also, with a note, for one that cannot be used.
  private func read(_ key: PackKey) -> PackFile? {
    let path = path(key)
    guard access(path, F_OK) == 0 || errno != ENOENT && errno != ENOTDIR else { return nil }
    do throws(PackCacheError) {
      let file = try PackFile(path: path, key: key, checksWeights: Switch.packCheck.value == "1")
      file.touch()
      hold(file.lock, key)
      return file
    } catch {
      note("packed weights \(error); packing anew")
      return nil
    }
  }

  private func path(_ key: PackKey) -> String { "\(folder)/\(key.fileName)" }

  private func hold(_ file: LockedFile, _ key: PackKey) { held.withLock { $0[key.fileName] = file } }

  // MARK: Writing

  /// Writes a file whole or not at all.
  fileprivate func write(_ weights: [PackedWeight], _ key: PackKey, _ team: WorkerTeam) {
    do throws(PackCacheError) {
      try makeFolder()
      removeLeftovers()
      let writer = PackWriter(key: key, weights: weights, team: team)
      try makeRoom(writer.byteCount, replacing: key)
      try checkSystemLimits(writer.byteCount)
      let file = try writeTemporary(writer, key)
      guard rename(file.path, path(key)) == 0 else {
        let error = PackCacheError.failed(path(key))
        unlink(file.path)
        throw error
      }
      file.share()
      hold(file, key)
      syncFolder()
    } catch {
      note("packed weights were not kept: \(error)")
    }
  }

  /// - Returns: the file, complete and on the disk, still under its temporary name.
  private func writeTemporary(_ writer: PackWriter, _ key: PackKey) throws(PackCacheError) -> LockedFile {
    // Also processes of other machines, whose numbers may be the same, write here.
    let number = UInt64.random(in: .min ... .max)
    let path = "\(folder)/.\(key.fileName)-\(String(number, radix: 36))\(PackCache.temporarySuffix)"
    let file = try LockedFile(creating: path, for: self.path(key))
    do throws(PackCacheError) {
      var sink = makeSink(file.descriptor, self.path(key))
      try writer.write(to: &sink)
      return file
    } catch {
      unlink(path)
      throw error
    }
  }

  /// With all folders it lies in.
  private func makeFolder() throws(PackCacheError) {
    var status = stat()
    if stat(folder, &status) == 0 {
      guard status.st_mode & S_IFMT == S_IFDIR else { throw PackCacheError(folder, .system("is not a folder")) }
      return
    }
    var path = folder.hasPrefix("/") ? "" : "."
    for part in folder.split(separator: "/") {
      path += "/\(part)"
      guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw .failed(path) }
    }
  }

  /// What was renamed is there also after a loss of power. A folder that cannot do that loses a cache's file at worst.
  private func syncFolder() {
    let descriptor = open(folder, O_RDONLY | O_CLOEXEC | O_DIRECTORY)
    guard descriptor >= 0 else { return }
    fsync(descriptor)
    close(descriptor)
  }

  /// Refuses what the disk has no room for, and what a limit of the process forbids: going beyond that would end it
  /// (SIGXFSZ).
  private func checkSystemLimits(_ bytes: Int) throws(PackCacheError) {
    var limit = rlimit()
    if getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit) == 0, limit.rlim_cur < rlim_t(bytes) {
      throw PackCacheError(folder, .noRoom("files of \(bytes) bytes are not allowed to this process"))
    }
    var system = statvfs()
    if statvfs(folder, &system) == 0,
      case let (free, overflow) = UInt64(system.f_bavail).multipliedReportingOverflow(by: UInt64(system.f_frsize)),
      !overflow, system.f_blocks > 0, free < UInt64(bytes)
    {
      throw PackCacheError(folder, .noRoom("\(bytes) bytes are needed, the disk has \(free)"))
    }
  }

  // MARK: Removing

  /// Temporary files whose writers were killed.
  private func removeLeftovers() {
    for name in Files.list(folder) where name.hasPrefix(".") && name.hasSuffix(PackCache.temporarySuffix) {
      _ = LockedFile.removeUnused("\(folder)/\(name)")
    }
  }

  /// Removes files, the one used longest ago first, until `bytes` more fit.
  private func makeRoom(_ bytes: Int, replacing key: PackKey) throws(PackCacheError) {
    guard bytes <= byteLimit else {
      throw PackCacheError(folder, .noRoom("\(bytes) bytes are more than the cache may hold (\(byteLimit))"))
    }
    var files = Files.list(folder).compactMap { CachedFile(folder: folder, name: $0) }
    files.removeAll { $0.name == key.fileName }
    files.sort { ($0.identity.modified, $0.name) < ($1.identity.modified, $1.name) }
    var total = files.reduce(0) { $0 + $1.identity.size }
    let own = held.withLock { Set($0.keys) }
    for file in files where total > byteLimit - bytes && !own.contains(file.name) {
      if LockedFile.removeUnused("\(folder)/\(file.name)") { total -= file.identity.size }
    }
    guard total <= byteLimit - bytes else {
      throw PackCacheError(folder, .noRoom("files that are in use leave no room for \(bytes) bytes of \(byteLimit)"))
    }
  }
}

/// A file of the folder that is one of ours by its name.
private struct CachedFile {
  let name: String
  let identity: FileIdentity

  init?(folder: String, name: String) {
    var status = stat()
    guard name.hasSuffix(PackKey.suffix), lstat("\(folder)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFREG
    else { return nil }
    self.name = name
    identity = FileIdentity(status)
  }
}

/// The weights of one model file.
private final class Store: PackedWeightStore {
  private let cache: PackCache
  private let key: PackKey
  private let file: PackFile?
  /// Something was asked for that the file does not hold.
  private var isIncomplete = false

  init(_ cache: PackCache, _ key: PackKey, _ file: PackFile?) {
    self.cache = cache
    self.key = key
    self.file = file
    isIncomplete = file == nil
  }

  func bytes(_ name: String, count: Int) -> SharedBytes? {
    guard let bytes = file?.bytes(name, count: count) else {
      isIncomplete = true
      return nil
    }
    return bytes
  }

  func keep(_ weights: [PackedWeight], team: WorkerTeam) {
    guard isIncomplete, !weights.isEmpty else { return }
    // A tensor that is used twice, as embedding and output head, is kept once.
    var names: Set<String> = []
    cache.write(weights.filter { names.insert($0.name).inserted }, key, team)
  }
}
