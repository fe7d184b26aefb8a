import Glibc
import Occam
import OccamCore
import OccamHTTP

/// Where a request's pictures may come from: the request itself, or files below one folder. The service makes no
/// connections of its own.
struct PictureReference: Sendable {
  /// Folder of `file://` pictures; nil: none.
  let mediaPath: String?
  /// Pictures of one request, and bytes of the files among them: a name is short, and may stand there many times.
  let countLimit: Int
  let fileLimit: Int
  private let taken = Guarded((count: 0, fileBytes: 0))

  init(mediaPath: String?, countLimit: Int, fileLimit: Int) {
    self.mediaPath = mediaPath
    self.countLimit = countLimit
    self.fileLimit = fileLimit
  }

  /// - Parameters:
  ///   - reference: a data URL, a `file://` URL, or bare base64 where `allowsBare`.
  ///   - field: for errors.
  func source(
    _ reference: String, field: String, allowsBare: Bool = false
  ) throws(ServiceError) -> ImageSource {
    let name = "'\(field)'"
    let count = taken.withLock { taken in
      taken.count += 1
      return taken.count
    }
    guard count <= countLimit else {
      throw .invalid("more than \(countLimit) pictures are more than the context holds")
    }
    if reference.hasPrefix("data:") { return try data(reference.utf8, name) }
    if reference.hasPrefix("file://") { return try file(reference.utf8.dropFirst(7), name) }
    if reference.hasPrefix("http://") || reference.hasPrefix("https://") {
      throw .invalid("\(name) is a web address, and this service fetches none: send the picture as a data URL")
    }
    guard allowsBare, let bytes = Base64.decode(reference.utf8), !bytes.isEmpty else {
      throw .invalid("\(name) is no data URL (data:image/...;base64,...)")
    }
    return .bytes(bytes, name: field)
  }

  private func data(_ text: String.UTF8View, _ name: String) throws(ServiceError) -> ImageSource {
    guard let comma = text.firstIndex(of: UInt8(ascii: ",")) else {
      throw .invalid("\(name) is a data URL without data")
    }
    let kind = String(decoding: text[..<comma], as: UTF8.self).lowercased()
    guard kind.hasSuffix(";base64") else { throw .invalid("\(name) is a data URL whose data is not base64") }
    guard let bytes = Base64.decode(text[text.index(after: comma)...]) else {
      throw .invalid("\(name) is a data URL whose data is not valid base64")
    }
    guard !bytes.isEmpty else { throw .invalid("\(name) is a data URL without data") }
    return .bytes(bytes, name: name.filter { $0 != "'" })
  }

  /// The file must lie below the folder when all links are followed.
  private func file(_ url: Substring.UTF8View, _ name: String) throws(ServiceError) -> ImageSource {
    guard let mediaPath else {
      throw .invalid("\(name) is a file, and this service was started without --media-path")
    }
    guard let path = PictureReference.path(url) else {
      throw .invalid("\(name) is a file URL whose path is not percent-encoded text (\"%\" itself is %25)")
    }
    // A path from the root on is one of this machine, or, as llama-server has it, of the folder.
    let wanted = (path.hasPrefix("/") ? [path] : []) + ["\(mediaPath)/\(path)"]
    guard let root = PictureReference.resolve(mediaPath),
      let file = wanted.lazy.compactMap(PictureReference.resolve).first(where: {
        $0.hasPrefix(root.hasSuffix("/") ? root : root + "/") && PictureReference.size($0) != nil
      })
    else { throw .invalid("\(name) names no file below the media path") }
    let bytes = taken.withLock { taken in
      taken.fileBytes += PictureReference.size(file) ?? 0
      return taken.fileBytes
    }
    guard bytes <= fileLimit else {
      throw .invalid("\(name): files of more than \(fileLimit >> 20) MiB in one request")
    }
    do { return .bytes(try OccamProcess.readFile(file), name: String(path.split(separator: "/").last ?? "")) } catch {
      throw .invalid("\(name): \(error)")
    }
  }

  /// The path behind `file://` (RFC 8089), decoded; nil where that is no text.
  private static func path(_ url: Substring.UTF8View) -> String? {
    // The only host whose files these are.
    PercentEncoding.decode(url.starts(with: "localhost/".utf8) ? url.dropFirst("localhost".utf8.count) : url)
  }

  /// Bytes of a regular file, nil for all else: opening a pipe would wait for whoever writes it, for ever.
  private static func size(_ path: String) -> Int? {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG ? Int(status.st_size) : nil
  }

  private static func resolve(_ path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
  }
}
