import OccamCore
import OccamImages

/// What a file's header says about its vision part: sizes, how pictures are cut, how wide an embedding is. No weights.
package struct VisionPlan: Sendable {
  package let shape: VisionShape
  package let merge: TokenMerge
  package let processor: any ImageProcessor
  /// Width of an image's embeddings.
  package let outputs: Int

  package init(shape: VisionShape, merge: TokenMerge = .none, processor: any ImageProcessor, outputs: Int) {
    self.shape = shape
    self.merge = merge
    self.processor = processor
    self.outputs = outputs
  }

  /// The same with a range of image tokens in the place of the family's own.
  /// - Throws: `ModelError` where the family's pictures always take as many.
  package func limited(to budget: ImageTokenBudget) throws -> VisionPlan {
    VisionPlan(shape: shape, merge: merge, processor: try processor.limited(to: budget), outputs: outputs)
  }

  /// Patches of a tile, of which `window` counts.
  package func patches(of window: TokenWindow) -> Int {
    shape.takesAnySize ? window.count * merge.side * merge.side : shape.patches
  }
}

/// Picture -> tiles -> features -> embeddings: all a family needs to see.
package struct VisionModel: Sendable {
  package let plan: VisionPlan
  package let encoder: any VisionEncoder
  package let projector: any Projector
  /// One a plane of the encoder (DeepStack).
  package let planeProjectors: [any Projector]
  /// Embeddings that frames name, [outputs] each.
  package let learned: [String: AlignedBuffer<Float>]
  package let chat: ChatDefaults

  package init(
    plan: VisionPlan, encoder: any VisionEncoder, projector: any Projector, planeProjectors: [any Projector] = [],
    learned: [String: AlignedBuffer<Float>] = [:], chat: ChatDefaults
  ) {
    self.plan = plan
    self.encoder = encoder
    self.projector = projector
    self.planeProjectors = planeProjectors
    self.learned = learned
    self.chat = chat
  }

  /// The same model with another plan for its pictures.
  package func planned(_ plan: VisionPlan) -> VisionModel {
    VisionModel(
      plan: plan, encoder: encoder, projector: projector, planeProjectors: planeProjectors, learned: learned,
      chat: chat)
  }

  package var weightBytes: Int {
    encoder.weightBytes + ([projector] + planeProjectors).reduce(0) { $0 + $1.weightBytes }
      + learned.values.reduce(0) { $0 + $1.byteCount }
  }

  /// Features of one tile's tokens inside `window`, with stage I's scores if they are asked for.
  package func encode(
    _ tile: PreparedImage, window: TokenWindow, request: EncoderRequest, compute: Compute
  ) throws(Cancelled) -> EncodedTile {
    let encoded = try encoder.encode(tile, request: request, compute: compute, observer: nil)
    return tokens(encoded, of: tile, window: window)
  }

  /// An encoder's patches as the tokens of a tile.
  package func tokens(_ encoded: EncodedPatches, of tile: PreparedImage, window: TokenWindow) -> EncodedTile {
    plan.merge.merge(encoded, grid: TokenGrid(of: tile, patch: plan.shape.patchSize)).cropped(to: window)
  }
}

/// What a family's conversations look like where its files do not say.
package struct ChatDefaults: Sendable {
  /// Name of the built-in format for files without a template.
  package let format: String
  /// Texts that end a reply of that format.
  package let stops: [String]
  /// What the family's templates write for an image.
  package let placeholders: [ImagePlaceholder]
  /// Texts around and between an image's tokens. A user who types one has typed text.
  package let markers: [String]
  /// What follows an image where the file's template knows none and the caller's own text holds it.
  package let imageBreak: String

  package init(
    format: String, stops: [String] = [], placeholders: [ImagePlaceholder], markers: [String] = [],
    imageBreak: String = ""
  ) {
    self.format = format
    self.stops = stops
    self.placeholders = placeholders
    self.markers = markers
    self.imageBreak = imageBreak
  }
}

/// What a template writes for an image, and what the reference processor puts in its place around the image's frame: text
/// that is tokenised together with the template's.
package struct ImagePlaceholder: Sendable {
  package let literal: String
  package let before: String
  package let after: String

  package init(_ literal: String, before: String = "", after: String = "") {
    self.literal = literal
    self.before = before
    self.after = after
  }
}
