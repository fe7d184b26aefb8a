import OccamGGUF

/// What Occam can run: one line an architecture. Adding one means its folder, a line here, and a fixture.
package enum ModelRegistry {
  /// `general.architecture` -> text decoder.
  private static let decoders: [TextEntry] = [
    TextEntry(name: "llama", shape: { try LlamaConfiguration($0).shape }, make: { try LlamaDecoder($0) })
  ]

  /// `clip.projector_type` -> vision encoder and projector.
  private static let encoders: [VisionEntry] = [
    VisionEntry(
      name: "mlp", shape: { try CLIPConfiguration($0, layout: $1).shape },
      make: { loader, layout in
        let encoder = try CLIPEncoder(loader, layout: layout)
        return (encoder, try MLPProjector(loader, inputs: encoder.shape.hidden))
      },
      outputs: { try MLPProjector.sizes($0).outputs })
  ]

  private struct TextEntry: Sendable {
    let name: String
    let shape: @Sendable (GGUFFile) throws -> TextShape
    let make: @Sendable (WeightLoader) throws -> any TextDecoder
  }

  private struct VisionEntry: Sendable {
    let name: String
    let shape: @Sendable (GGUFFile, EncoderLayout) throws -> VisionShape
    let make: @Sendable (WeightLoader, EncoderLayout) throws -> (any VisionEncoder, any Projector)
    let outputs: @Sendable (GGUFFile) throws -> Int
  }

  package static func textDecoder(_ loader: WeightLoader) throws -> any TextDecoder {
    try textEntry(loader.file).make(loader)
  }

  package static func vision(
    _ loader: WeightLoader, layout: EncoderLayout
  ) throws -> (encoder: any VisionEncoder, projector: any Projector) {
    try visionEntry(loader.file).make(loader, layout)
  }

  /// Sizes without loading any weight.
  package static func textShape(_ file: GGUFFile) throws -> TextShape { try textEntry(file).shape(file) }

  package static func visionShape(_ file: GGUFFile, layout: EncoderLayout) throws -> VisionShape {
    try visionEntry(file).shape(file, layout)
  }

  /// The width of an image's embeddings.
  package static func projectorOutputs(_ file: GGUFFile) throws -> Int { try visionEntry(file).outputs(file) }

  private static func textEntry(_ file: GGUFFile) throws -> TextEntry {
    let name = try file.string("general.architecture") ?? ""
    if let entry = decoders.first(where: { $0.name == name }) { return entry }
    let known = decoders.map(\.name).joined(separator: ", ")
    throw ModelError(.unknownArchitecture, file.subject, "unknown architecture '\(name)' (known: \(known))")
  }

  private static func visionEntry(_ file: GGUFFile) throws -> VisionEntry {
    let name = try projectorType(file)
    if let entry = encoders.first(where: { $0.name == name }) { return entry }
    let known = encoders.map(\.name).joined(separator: ", ")
    throw ModelError(.unknownProjector, file.subject, "unknown projector '\(name)' (known: \(known))")
  }

  /// Whether a file holds a vision encoder (an mmproj, or a fused file).
  package static func hasVision(_ file: GGUFFile) -> Bool { file.tensor("v.patch_embd.weight") != nil }

  /// Files from before the key existed are LLaVA-1.5's.
  private static func projectorType(_ file: GGUFFile) throws -> String {
    if let name = try file.string("clip.projector_type") ?? file.string("clip.vision.projector_type") { return name }
    return file.tensor("mm.0.weight") == nil ? "" : "mlp"
  }
}
