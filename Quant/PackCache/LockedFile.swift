import Glibc

/// An open file with a lock that says that somebody reads or writes it. The system takes the lock away with the process,
/// also one that was killed: a temporary file without a lock has no writer, a file of weights without one no reader.
///
/// Where a file system has no such locks, nothing is removed that somebody else may use; reading and writing do without.
final class LockedFile: Sendable {
  let descriptor: Int32
  let path: String
  /// Bytes when it was opened.
  let size: Int

  /// - Throws: for anything but a regular file.
  init(reading path: String) throws(PackCacheError) {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { throw .failed(path) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      throw PackCacheError(path, .system("not a regular file"))
    }
    // Whoever has it alone is about to remove it: then it stays readable for those who have it open.
    flock(descriptor, LOCK_SH | LOCK_NB)
    self.descriptor = descriptor
    self.path = path
    size = Int(status.st_size)
  }

  /// A new file, its writer's alone.
  /// - Parameter name: what it shall become, which errors name.
  init(creating path: String, for name: String) throws(PackCacheError) {
    let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw .failed(name) }
    flock(descriptor, LOCK_EX | LOCK_NB)
    // Somebody who cleans up may have come between the two.
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_nlink > 0 else {
      close(descriptor)
      throw PackCacheError(name, .system("removed by another process"))
    }
    self.descriptor = descriptor
    self.path = path
    size = 0
  }

  deinit { close(descriptor) }

  /// The writer is done: others may read.
  func share() { flock(descriptor, LOCK_SH | LOCK_NB) }

  /// Sets the time of the last change to now. Where that is not allowed the file counts as older than it is.
  func touch() { futimens(descriptor, nil) }

  /// Removes a file that nobody holds. - Returns: whether it is gone.
  static func removeUnused(_ path: String) -> Bool {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
    guard descriptor >= 0 else { return errno == ENOENT }
    defer { close(descriptor) }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else { return false }
    // Another file may have come to the name since: only the one that is locked goes.
    var (opened, named) = (stat(), stat())
    guard fstat(descriptor, &opened) == 0, lstat(path, &named) == 0, opened.st_ino == named.st_ino,
      opened.st_dev == named.st_dev
    else { return false }
    return unlink(path) == 0
  }
}

extension PackCacheError {
  /// With what `errno` says.
  static func failed(_ path: String) -> PackCacheError {
    PackCacheError(path, .system(String(cString: strerror(errno))))
  }
}
