import OccamCore
import OccamGGUF
import OccamModels

/// Which files make a model: the text model, and the projector given, found beside it, or in the same file.
struct ModelFiles {
  let text: GGUFFile
  let projector: GGUFFile?
  /// The projector was found, not given: worth a line to the user.
  let found: String?

  /// A pair at hand.
  init(text: GGUFFile, projector: GGUFFile?) {
    self.text = text
    self.projector = projector
    found = nil
  }

  init(path: String, projector: String?) throws(OccamError) {
    text = try ModelFiles.open(path)
    let fused = ModelRegistry.hasVision(text)
    if let projector {
      self.projector = try ModelFiles.open(projector)
      found = nil
    } else if fused {
      self.projector = text
      found = nil
    } else {
      found = ModelFiles.neighbour(of: path)
      self.projector = try found.map { path throws(OccamError) in try ModelFiles.open(path) }
    }
    if let file = self.projector, !ModelRegistry.hasVision(file) {
      throw OccamError(.mismatch, file.subject, "holds no vision encoder (tensor v.patch_embd.weight is missing)")
    }
    if text.tensor("token_embd.weight") == nil, fused {
      throw OccamError(
        .mismatch, path,
        "is a projector (mmproj) without a text model; give the text model with -m and this with --mmproj")
    }
  }

  static func open(_ path: String) throws(OccamError) -> GGUFFile {
    try translating(path) { try GGUFFile(path: path) }
  }

  /// The one `mmproj*.gguf` beside the model. Of several, the one that shares the longest beginning with the model's
  /// name after the prefix; ties by name.
  static func neighbour(of path: String) -> String? {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    let folder = parts.dropLast().joined(separator: "/")
    let model = parts.last.map(String.init) ?? path
    let candidates = Files.list(folder.isEmpty ? (path.hasPrefix("/") ? "/" : ".") : folder).filter {
      $0.hasPrefix("mmproj") && $0.hasSuffix(".gguf") && $0 != model
    }
    func shared(_ name: String) -> Int {
      let rest = name.dropFirst("mmproj".count).drop { $0 == "-" || $0 == "_" || $0 == "." }
      return zip(rest, model).prefix { $0 == $1 }.count
    }
    guard let best = candidates.max(by: { (shared($0), $1) < (shared($1), $0) }) else { return nil }
    return parts.count > 1 ? "\(folder)/\(best)" : best
  }
}
