import Glibc

/// Which file it is, and which of its versions: what the system says of an open file.
///
/// Device and inode tell files apart, also one that was put in another's place under its name. Size and the time of the
/// last change of the content tell versions apart; the time of the last change of the inode catches those whose content
/// was changed and whose time was set back (`rsync -t`, `touch -r`, `cp -p` onto a file). It also moves when a file is
/// renamed, linked or gets other permissions: then something is computed anew for nothing, never taken for what it is not.
package struct FileIdentity: Sendable, Equatable, CustomStringConvertible {
  package let device: UInt64
  package let inode: UInt64
  /// Bytes.
  package let size: Int
  /// Nanoseconds since 1970: of the content, and of the inode.
  package let modified: Int
  package let changed: Int

  package init(_ status: stat) {
    func nanoseconds(_ time: timespec) -> Int { Int(time.tv_sec) &* 1_000_000_000 &+ Int(time.tv_nsec) }
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
    size = Int(status.st_size)
    modified = nanoseconds(status.st_mtim)
    changed = nanoseconds(status.st_ctim)
  }

  package var description: String { "\(device) \(inode) \(size) \(modified) \(changed)" }
}
