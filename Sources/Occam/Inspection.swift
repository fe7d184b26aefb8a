import OccamGGUF
import OccamModels

/// What a GGUF file holds and whether Occam runs it, for `occam-run --inspect`.
public enum Inspection {
  /// The verdict in the first line, then metadata and tensors. Weights are not read.
  /// - Throws: if the file is no sound GGUF file.
  public static func lines(path: String) throws(OccamError) -> [String] {
    let file = try ModelFiles.open(path)
    return [verdict(file)] + inspectionLines(of: file)
  }

  /// One line: "runs", then "yes" and what the file is, or "no" and which key or tensor stands against it. A family's own
  /// loading code asks for every key and tensor.
  package static func verdict(_ file: GGUFFile) -> String {
    do throws(OccamError) {
      return "runs      " + (try isProjector(file) ? projector(file) : text(file))
    } catch {
      return "runs      no: \(printable(error.message))"
    }
  }

  private static func string(_ file: GGUFFile, _ key: String) -> String { (try? file.string(key) ?? "") ?? "" }

  /// A vision part by itself.
  private static func isProjector(_ file: GGUFFile) -> Bool {
    string(file, "general.architecture") == "clip"
      || ModelRegistry.hasVision(file) && file.tensor("token_embd.weight") == nil
  }

  private static func projector(_ file: GGUFFile) throws(OccamError) -> String {
    let vision = try vision(file)
    return "yes, beside a text model of width \(vision.projector.outputs) (--mmproj): \(try name(of: file))"
  }

  private static func vision(_ file: GGUFFile) throws(OccamError) -> VisionModel {
    try translating(file.subject) { try ModelRegistry.vision(.dry(file)) }
  }

  private static func name(of file: GGUFFile) throws(OccamError) -> String {
    try translating(file.subject) { "projector '\(try ModelRegistry.projectorType(file))'" }
  }

  private static func text(_ file: GGUFFile) throws(OccamError) -> String {
    let architecture = string(file, "general.architecture")
    if let other = other(file, architecture) { return "no: \(other)" }
    let shape = try translating(file.subject) { try ModelRegistry.textDecoder(.dry(file)).shape }
    let tokenizer = try VisionLanguageModel.tokenizer(file, shape)
    let vision = ModelRegistry.hasVision(file) ? try vision(file) : nil
    _ = try VisionLanguageModel.chatFormat(file, vision?.chat, tokenizer)
    guard let vision else {
      return "yes: text model '\(architecture)'; to see images it needs its projector file (--mmproj)"
    }
    guard vision.projector.outputs == shape.hidden else {
      throw .projector(file.subject, outputs: vision.projector.outputs, text: file.subject, width: shape.hidden)
    }
    return "yes: text model '\(architecture)' and \(try name(of: file)) in one file"
  }

  /// What a file is that is no model; nil: it is one.
  private static func other(_ file: GGUFFile, _ architecture: String) -> String? {
    let type = string(file, "general.type")
    if type == "adapter" || file.metadata["adapter.type"] != nil {
      return printable("an adapter for '\(architecture)' models (adapter.type), which Occam does not apply")
    }
    if type == "imatrix" { return "an importance matrix, no model (general.type)" }
    if architecture == "controlvector" { return "a control vector, no model (general.architecture)" }
    if file.tensors.isEmpty, ModelRegistry.runs(architecture: architecture),
      file.metadata["tokenizer.ggml.model"] != nil
    {
      return "a vocabulary without weights: it holds no tensors"
    }
    return nil
  }
}
