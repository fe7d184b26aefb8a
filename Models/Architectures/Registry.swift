import OccamGGUF
import OccamPruning

/// What Occam can run: one line an architecture. Adding one means its folder, a line here, and a fixture. No other place
/// knows a model's name.
package enum ModelRegistry {
  private static let decoders: [TextEntry] = [
    TextEntry("llama", { try LlamaConfiguration($0, prefix: "llama").shape }) {
      try LlamaDecoder($0, prefix: "llama", pairing: .adjacent)
    },
    TextEntry("qwen2", { try LlamaConfiguration($0, prefix: "qwen2").shape }) {
      try LlamaDecoder($0, prefix: "qwen2", pairing: .halves)
    },
    TextEntry("qwen3", { try LlamaConfiguration($0, prefix: "qwen3").shape }) {
      try LlamaDecoder($0, prefix: "qwen3", pairing: .halves)
    },
    TextEntry("qwen3moe", { try LlamaConfiguration($0, prefix: "qwen3moe", hasExperts: true).shape }) {
      try LlamaDecoder($0, prefix: "qwen3moe", pairing: .halves, hasExperts: true)
    },
    TextEntry("qwen2vl", { try LlamaConfiguration($0, prefix: "qwen2vl", sections: .contiguous).shape }) {
      try LlamaDecoder($0, prefix: "qwen2vl", pairing: .halves, sections: .contiguous)
    },
    TextEntry("qwen3vl", { try LlamaConfiguration($0, prefix: "qwen3vl", sections: .interleaved).shape }) {
      try LlamaDecoder($0, prefix: "qwen3vl", pairing: .halves, sections: .interleaved)
    },
    TextEntry("qwen35", { try Qwen35Configuration($0, prefix: "qwen35", hasExperts: false).shape }) {
      try Qwen35Decoder($0, prefix: "qwen35")
    },
    TextEntry("qwen35moe", { try Qwen35Configuration($0, prefix: "qwen35moe", hasExperts: true).shape }) {
      try Qwen35Decoder($0, prefix: "qwen35moe", hasExperts: true)
    },
    TextEntry(
      "qwen3vlmoe",
      { try LlamaConfiguration($0, prefix: "qwen3vlmoe", sections: .interleaved, hasExperts: true).shape }
    ) {
      try LlamaDecoder($0, prefix: "qwen3vlmoe", pairing: .halves, sections: .interleaved, hasExperts: true)
    },
    TextEntry("lfm2", { try LFM2Configuration($0).shape }, load: LFM2Decoder.init),
    TextEntry("gemma3", { try Gemma3Configuration($0).shape }, load: Gemma3Decoder.init),
    TextEntry("gemma4", { try Gemma4Configuration($0).shape }, load: Gemma4Decoder.init),
  ]

  /// The first that matches.
  private static let encoders: [VisionEntry] = [
    VisionEntry("mlp", where: LLaVANeXT.matches, plan: LLaVANeXT.plan, load: LLaVANeXT.load),
    VisionEntry("mlp", plan: LLaVA.plan, load: LLaVA.load),
    VisionEntry("idefics3", plan: Idefics3.plan, load: Idefics3.load),
    VisionEntry("internvl", plan: InternVL.plan, load: InternVL.load),
    VisionEntry("qwen3vl_merger", plan: Qwen3VL.plan, load: Qwen3VL.load),
    VisionEntry("lfm2", plan: LFM2Vision.plan, load: LFM2Vision.load),
    VisionEntry("gemma3", plan: Gemma3Vision.plan, load: Gemma3Vision.load),
    VisionEntry("gemma4v", plan: Gemma4Vision.plan, load: Gemma4Vision.load),
    VisionEntry("qwen2vl_merger") {
      try Qwen2VL.plan($0, isGated: false)
    } load: {
      try Qwen2VL.load($0, isGated: false)
    },
    VisionEntry("qwen2.5vl_merger") {
      try Qwen2VL.plan($0, isGated: true)
    } load: {
      try Qwen2VL.load($0, isGated: true)
    },
  ]

  /// A text model: `general.architecture`, its sizes, its weights.
  private struct TextEntry: Sendable {
    let name: String
    let shape: @Sendable (GGUFFile) throws -> TextShape
    let load: @Sendable (WeightLoader) throws -> any TextDecoder

    init(
      _ name: String, _ shape: @escaping @Sendable (GGUFFile) throws -> TextShape,
      load: @escaping @Sendable (WeightLoader) throws -> any TextDecoder
    ) {
      self.name = name
      self.shape = shape
      self.load = load
    }
  }

  /// A vision part: `clip.projector_type` and what else tells variants apart, its plan, its weights.
  private struct VisionEntry: Sendable {
    let name: String
    let matches: @Sendable (GGUFFile) throws -> Bool
    let plan: @Sendable (GGUFFile) throws -> VisionPlan
    let load: @Sendable (WeightLoader) throws -> VisionModel

    init(
      _ name: String, where matches: @escaping @Sendable (GGUFFile) throws -> Bool = { _ in true },
      plan: @escaping @Sendable (GGUFFile) throws -> VisionPlan,
      load: @escaping @Sendable (WeightLoader) throws -> VisionModel
    ) {
      self.name = name
      self.matches = matches
      self.plan = plan
      self.load = load
    }
  }

  package static func textDecoder(_ loader: WeightLoader) throws -> any TextDecoder {
    try textEntry(loader.file).load(loader)
  }

  package static func vision(_ loader: WeightLoader) throws -> VisionModel {
    try visionEntry(loader.file).load(loader)
  }

  /// Sizes without loading any weight.
  package static func textShape(_ file: GGUFFile) throws -> TextShape { try textEntry(file).shape(file) }

  package static func visionPlan(_ file: GGUFFile) throws -> VisionPlan { try visionEntry(file).plan(file) }

  /// Whether text models of that `general.architecture` run.
  package static func runs(architecture name: String) -> Bool { decoders.contains { $0.name == name } }

  private static func textEntry(_ file: GGUFFile) throws -> TextEntry {
    let name = try file.string("general.architecture") ?? ""
    if let entry = decoders.first(where: { $0.name == name }) { return entry }
    let known = decoders.map(\.name).joined(separator: ", ")
    let what = PeerNames.architectures.contains(name) ? "Occam does not run the" : "unknown"
    throw ModelError(
      .unknownArchitecture, file.subject, "\(what) architecture '\(name)' (general.architecture; known: \(known))")
  }

  private static func visionEntry(_ file: GGUFFile) throws -> VisionEntry {
    let name = try projectorType(file)
    if let entry = try encoders.first(where: { try $0.name == name && $0.matches(file) }) { return entry }
    var known = encoders.map(\.name)
    known = known.indices.filter { known.firstIndex(of: known[$0]) == $0 }.map { known[$0] }
    let what = PeerNames.projectors.contains(name) ? "Occam does not run the" : "unknown"
    throw ModelError(
      .unknownProjector, file.subject,
      "\(what) projector '\(name)' (clip.projector_type; known: \(known.joined(separator: ", ")))")
  }

  /// Whether a file holds a vision encoder (an mmproj, or a fused file).
  package static func hasVision(_ file: GGUFFile) -> Bool { file.tensor("v.patch_embd.weight") != nil }

  /// Whether a tensor belongs to the vision part of a fused file.
  package static func isVision(tensor name: String) -> Bool {
    ["v.", "mm.", "model.image_newline"].contains { name.hasPrefix($0) }
  }

  /// What ties a calibration to its encoder: sizes and the names of the vision tensors.
  package static func fingerprint(_ file: GGUFFile) throws -> ModelFingerprint {
    let shape = try visionPlan(file).shape
    let names = file.tensors.map(\.name).filter { $0.hasPrefix("v.") }.sorted()
    // GGUF calls every vision tower by this name.
    return ModelFingerprint(
      architecture: "clip", layers: shape.layers, hiddenSize: shape.hidden, tensorHash: ModelFingerprint.hash(names))
  }

  /// Files from before the key existed are LLaVA-1.5's.
  package static func projectorType(_ file: GGUFFile) throws -> String {
    if let name = try file.string("clip.projector_type") ?? file.string("clip.vision.projector_type") { return name }
    return file.tensor("mm.0.weight") == nil ? "" : "mlp"
  }
}
