import Glibc

/// Whole-file reading and writing without Foundation.
package enum Files {
  /// Reads a file, a pipe or a device to its end.
  /// - Parameters:
  ///   - path: `-` stands for standard input.
  ///   - limit: bytes; a longer input is refused, never cut.
  package static func read(_ path: String, limit: Int = 1 << 30) throws(FileError) -> [UInt8] {
    let descriptor = path == "-" ? STDIN_FILENO : Glibc.open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw FileError(.open, path, errno: errno) }
    defer { if descriptor != STDIN_FILENO { close(descriptor) } }
    var status = stat()
    if fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_size > limit {
      throw FileError(.read, path, reason: "larger than \(limit) bytes")
    }
    var content: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(descriptor, &chunk, chunk.count)
      if count == 0 { return content }
      if count < 0 {
        if errno == EINTR { continue }
        throw FileError(.read, path, errno: errno)
      }
      guard content.count + count <= limit else { throw FileError(.read, path, reason: "larger than \(limit) bytes") }
      content.append(contentsOf: chunk[..<count])
    }
  }

  /// Writes a file whole or not at all: into a temporary neighbour first, then renamed over `path`. A device or a pipe is
  /// written where it is, and so is the file behind a symbolic link: a rename would put a plain file in its place.
  package static func write(_ content: [UInt8], to path: String) throws(FileError) {
    var status = stat()
    if lstat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG { return try writeInPlace(content, to: path) }
    let temporary = "\(path).partial-\(getpid())"
    let descriptor = Glibc.open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    if descriptor < 0 {
      // A folder that takes no new file.
      return try writeInPlace(content, to: path)
    }
    do {
      try writeAll(content, descriptor, path)
    } catch {
      close(descriptor)
      unlink(temporary)
      throw error
    }
    guard close(descriptor) == 0, rename(temporary, path) == 0 else {
      let code = errno
      unlink(temporary)
      throw FileError(.write, path, errno: code)
    }
  }

  private static func writeInPlace(_ content: [UInt8], to path: String) throws(FileError) {
    let descriptor = Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw FileError(.write, path, errno: errno) }
    defer { close(descriptor) }
    try writeAll(content, descriptor, path)
  }

  private static func writeAll(_ content: [UInt8], _ descriptor: Int32, _ path: String) throws(FileError) {
    var written = 0
    while written < content.count {
      let count = content[written...].withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        throw FileError(.write, path, errno: errno)
      }
      written += count
    }
  }

  /// Refuses a folder, a file or device without permission, and a new file in a folder that is missing or takes none.
  package static func checkWritable(_ path: String) throws(FileError) {
    var status = stat()
    if stat(path, &status) == 0 {
      if status.st_mode & S_IFMT == S_IFDIR { throw FileError(.write, path, errno: EISDIR) }
      guard access(path, W_OK) == 0 else { throw FileError(.write, path, errno: errno) }
      return
    }
    let folder = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    guard access(folder, W_OK) == 0 else { throw FileError(.write, path, errno: errno) }
  }

  /// The path of the file itself, without links; `path` where there is no such file.
  package static func resolved(_ path: String) -> String {
    guard let name = realpath(path, nil) else { return path }
    defer { free(name) }
    return String(cString: name)
  }

  package static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  /// Names in a folder, sorted; empty when it cannot be read.
  package static func list(_ folder: String) -> [String] {
    guard let directory = opendir(folder) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }
}
