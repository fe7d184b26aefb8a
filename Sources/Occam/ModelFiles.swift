import OccamCore
import OccamGGUF
import OccamModels

/// Which files make a model: the text model, and the projector given, found beside it, or in the same file.
struct ModelFiles {
  let text: GGUFFile
  let projector: GGUFFile?
  /// What there is to say about a projector that was found, not given.
  let notes: [String]

  /// A pair at hand.
  init(text: GGUFFile, projector: GGUFFile?) {
    self.text = text
    self.projector = projector
    notes = []
  }

  init(path: String, projector: String?) throws(OccamError) {
    text = try ModelFiles.open(path)
    let fused = ModelRegistry.hasVision(text)
    if let projector {
      self.projector = try ModelFiles.open(projector)
      notes = []
    } else if fused {
      self.projector = text
      notes = []
    } else if let found = ModelFiles.neighbour(of: path) {
      // It may belong to another model of the folder: then this one is a text model.
      do throws(OccamError) {
        self.projector = try ModelFiles.fitting(found, text)
        notes = ["using projector \(found)"]
      } catch {
        self.projector = nil
        notes = ["the projector beside the model is left out: \(error); --mmproj gives another"]
      }
    } else {
      self.projector = nil
      notes = []
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

  /// The projector file, if its header says that its embeddings have the text model's width.
  private static func fitting(_ path: String, _ text: GGUFFile) throws(OccamError) -> GGUFFile {
    let file = try open(path)
    let outputs = try translating(path) { try ModelRegistry.visionPlan(file).outputs }
    // A text model that cannot run is reported as such, when it is loaded.
    if let width = try? ModelRegistry.textShape(text).hidden, width != outputs {
      throw .projector(path, outputs: outputs, text: text.subject, width: width)
    }
    return file
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
