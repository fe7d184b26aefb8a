import OccamGGUF

/// What Occam can run: one line an architecture. Adding one means its folder, a line here, and a fixture.
package enum ModelRegistry {
  /// `general.architecture` -> text decoder.
  private static let decoders: [(name: String, make: (WeightLoader) throws -> any TextDecoder)] = [
    ("llama", { try LlamaDecoder($0) })
  ]

  /// `clip.projector_type` -> vision encoder and projector.
  private static let encoders:
    [(name: String, make: (WeightLoader, EncoderLayout) throws -> (any VisionEncoder, any Projector))] = [
      (
        "mlp",
        { loader, layout in
          let encoder = try CLIPEncoder(loader, layout: layout)
          return (encoder, try MLPProjector(loader, inputs: encoder.shape.hidden))
        }
      )
    ]

  package static func textDecoder(_ loader: WeightLoader) throws -> any TextDecoder {
    let name = try loader.file.string("general.architecture") ?? ""
    guard let entry = decoders.first(where: { $0.name == name }) else {
      let known = decoders.map(\.name).joined(separator: ", ")
      throw ModelError(
        .unknownArchitecture, loader.file.subject, "unknown architecture '\(name)' (known: \(known))")
    }
    return try entry.make(loader)
  }

  package static func vision(
    _ loader: WeightLoader, layout: EncoderLayout
  ) throws -> (encoder: any VisionEncoder, projector: any Projector) {
    let name = try projectorType(loader.file)
    guard let entry = encoders.first(where: { $0.name == name }) else {
      let known = encoders.map(\.name).joined(separator: ", ")
      throw ModelError(.unknownProjector, loader.file.subject, "unknown projector '\(name)' (known: \(known))")
    }
    let (encoder, projector) = try entry.make(loader, layout)
    return (encoder, projector)
  }

  /// Whether a file holds a vision encoder (an mmproj, or a fused file).
  package static func hasVision(_ file: GGUFFile) -> Bool { file.tensor("v.patch_embd.weight") != nil }

  /// Files from before the key existed are LLaVA-1.5's.
  private static func projectorType(_ file: GGUFFile) throws -> String {
    if let name = try file.string("clip.projector_type") ?? file.string("clip.vision.projector_type") { return name }
    return file.tensor("mm.0.weight") == nil ? "" : "mlp"
  }
}
