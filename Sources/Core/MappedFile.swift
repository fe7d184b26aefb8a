import Glibc

/// A whole file, mapped read-only and private.
///
/// The mapping lives as long as the object. Pages that were read can be given back with `release`; a later read
/// brings them in again from the page cache. A file truncated by another process while mapped raises SIGBUS, as with
/// every mmap; regular files only.
package final class MappedFile: @unchecked Sendable {
  package let path: String
  package let bytes: UnsafeRawBufferPointer
  /// Of the file that is mapped, whatever stands under its name by now.
  package let identity: FileIdentity

  package init(path: String) throws(FileError) {
    let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileError(.open, path, errno: errno) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw FileError(.open, path, errno: errno) }
    guard status.st_mode & S_IFMT == S_IFREG else {
      let isFolder = status.st_mode & S_IFMT == S_IFDIR
      throw FileError(.open, path, reason: isFolder ? "is a directory" : "not a regular file")
    }
    self.path = path
    identity = FileIdentity(status)
    guard status.st_size > 0 else {
      bytes = UnsafeRawBufferPointer(start: nil, count: 0)
      return
    }
    let size = Int(status.st_size)
    guard let base = mmap(nil, size, PROT_READ, MAP_PRIVATE, descriptor, 0), base != MAP_FAILED else {
      throw FileError(.map, path, errno: errno)
    }
    bytes = UnsafeRawBufferPointer(start: base, count: size)
  }

  deinit {
    if let base = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: base), bytes.count) }
  }

  /// Says that `range` (bytes from the file's start) will soon be read: the system fetches it while others compute.
  package func willRead(_ range: Range<Int>) {
    guard let base = bytes.baseAddress else { return }
    let first = max(range.lowerBound, 0) / Int(getpagesize()) * Int(getpagesize())
    let count = min(range.upperBound, bytes.count) - first
    guard count > 0 else { return }
    madvise(UnsafeMutableRawPointer(mutating: base) + first, count, MADV_WILLNEED)
  }

  /// Drops the resident pages wholly inside `range` (bytes from the file's start), so that packed weights do not stand
  /// in memory twice. The content stays readable.
  package func release(_ range: Range<Int>) {
    guard let base = bytes.baseAddress else { return }
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    let first = (max(range.lowerBound, 0) + page - 1) / page * page
    let last = min(range.upperBound, bytes.count) / page * page
    if last > first { madvise(UnsafeMutableRawPointer(mutating: base) + first, last - first, MADV_DONTNEED) }
  }
}
