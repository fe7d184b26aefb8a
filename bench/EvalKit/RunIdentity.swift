import Glibc
import Occam
import OccamCommandLine
import OccamCore

/// What a file of results belongs to.
package enum RunIdentity {
  /// The first line of a results file: version, both model files, and options that change answers.
  package static func line(model: VisionLanguageModel, options: [String]) throws(EvalError) -> JSONValue {
    var files = [model.path]
    if let projector = model.projectorPath, projector != model.path { files.append(projector) }
    var members: [JSONMember] = [JSONMember("version", .string(OccamVersion.text))]
    for (name, path) in zip(["model", "mmproj"], files) {
      let short = path.split(separator: "/").last.map(String.init) ?? path
      members.append(JSONMember(name, ["name": .string(short), "fingerprint": .string(try fingerprint(path))]))
    }
    members.append(JSONMember("options", .string(options.joined(separator: " "))))
    return ["run": .object(members)]
  }

  /// Size and 64 samples of 64 KiB spread over the file: retraining changes them all, and gigabytes are not read.
  package static func fingerprint(_ path: String) throws(EvalError) -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw EvalError(.file, path, String(cString: strerror(errno))) }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw EvalError(.file, path, String(cString: strerror(errno))) }
    let size = Int(status.st_size)
    let (samples, length) = (64, 1 << 16)
    var hash = Fingerprint()
    hash.add(Array("\(size)".utf8))
    var chunk = [UInt8](repeating: 0, count: length)
    for sample in 0..<samples {
      let offset = size <= samples * length ? sample * length : (size - length) / (samples - 1) * sample
      guard offset < size else { break }
      let count = pread(descriptor, &chunk, length, off_t(offset))
      guard count >= 0 else { throw EvalError(.file, path, String(cString: strerror(errno))) }
      hash.add(chunk[..<count])
    }
    return hash.text
  }

  /// A table as JSON lines.
  package static func lines(_ table: Table) throws -> String {
    try (JSONValue(parsing: table.text(.json)).arrayValue ?? []).map { $0.text() + "\n" }.joined()
  }
}
