import OccamGGUF

/// Key and value pairs of a file, in order.
package typealias MetadataEntries = [(key: String, value: GGUFValue)]

extension MetadataEntries {
  /// Gives a key another value.
  mutating func set(_ key: String, _ value: GGUFValue) {
    if let index = firstIndex(where: { $0.key == key }) { self[index].value = value }
  }
}

extension FixtureSpec {
  /// Metadata of the text file, without the vocabulary.
  func textMetadata(_ type: FixtureType) -> MetadataEntries {
    var entries = family.textMetadata(text)
    let general: MetadataEntries = [
      ("general.name", .string("Occam fixture \(name)")),
      ("general.file_type", .uint32(type.fileType)),
      ("general.quantization_version", .uint32(2)),
    ]
    entries.insert(contentsOf: general, at: 1)
    return entries
  }

  /// Metadata of the mmproj file; a fused file carries them beside the text model's, but for `general.*`.
  func visionMetadata(_ type: FixtureType, isFused: Bool = false) -> MetadataEntries {
    var entries: MetadataEntries = []
    if !isFused {
      entries += [
        ("general.architecture", .string("clip")),
        ("general.name", .string("Occam fixture \(name)")),
        ("general.file_type", .uint32(type.fileType)),
      ]
    }
    return entries + family.visionMetadata(self)
  }
}

extension FixtureSpec.Text {
  /// The keys that llama.cpp reads for every text model, under `architecture`.
  func metadata(_ architecture: String) -> MetadataEntries {
    var entries: MetadataEntries = [("general.architecture", .string(architecture))]
    func add(_ key: String, _ value: GGUFValue) { entries.append(("\(architecture).\(key)", value)) }
    add("block_count", .uint32(UInt32(layers)))
    add("context_length", .uint32(UInt32(contextLength)))
    add("embedding_length", .uint32(UInt32(width)))
    add("feed_forward_length", .uint32(UInt32(feedForward)))
    add("attention.head_count", .uint32(UInt32(heads)))
    add("attention.head_count_kv", .uint32(UInt32(kvHeads)))
    add("attention.key_length", .uint32(UInt32(headSize)))
    add("attention.value_length", .uint32(UInt32(headSize)))
    add("attention.layer_norm_rms_epsilon", .float32(epsilon))
    add("rope.dimension_count", .uint32(UInt32(headSize)))
    add("rope.freq_base", .float32(ropeBase))
    if let experts {
      add("expert_count", .uint32(UInt32(experts.count)))
      add("expert_used_count", .uint32(UInt32(experts.used)))
      add("expert_feed_forward_length", .uint32(UInt32(experts.feedForward)))
      if experts.shared > 0 { add("expert_shared_feed_forward_length", .uint32(UInt32(experts.shared))) }
    }
    if let slidingWindow { add("attention.sliding_window", .uint32(UInt32(slidingWindow))) }
    if let ropeScale {
      add("rope.scaling.type", .string("linear"))
      add("rope.scaling.factor", .float32(ropeScale))
    }
    if !ropeSections.isEmpty {
      // Four numbers whatever the model has.
      let sections = (ropeSections + [0, 0, 0, 0]).prefix(4).map { Int32($0) }
      add("rope.dimension_sections", .array(.int32(sections)))
    }
    return entries
  }
}

/// Mean and deviation of the three colours, on 0...1.
struct PixelStatistics {
  let mean: [Float]
  let deviation: [Float]

  /// CLIP's own numbers.
  static let clip = PixelStatistics(
    mean: [0.481_454_66, 0.457_827_5, 0.408_210_73], deviation: [0.268_629_54, 0.261_302_58, 0.275_777_11])
  /// ImageNet's own.
  static let imageNet = PixelStatistics(mean: [0.485, 0.456, 0.406], deviation: [0.229, 0.224, 0.225])
  /// SigLIP's: pixels on -1...1.
  static let half = PixelStatistics(mean: [0.5, 0.5, 0.5], deviation: [0.5, 0.5, 0.5])
  /// Pixels as they are, on 0...1.
  static let identity = PixelStatistics(mean: [0, 0, 0], deviation: [1, 1, 1])
}

extension FixtureSpec.Vision {
  /// The keys that llama.cpp reads for every encoder.
  func metadata(projector: String, textWidth: Int, pixels: PixelStatistics) -> MetadataEntries {
    [
      ("clip.has_vision_encoder", .bool(true)),
      ("clip.projector_type", .string(projector)),
      ("clip.use_gelu", .bool(activation == .gelu)),
      ("clip.vision.image_size", .uint32(UInt32(imageSize))),
      ("clip.vision.patch_size", .uint32(UInt32(patchSize))),
      ("clip.vision.embedding_length", .uint32(UInt32(width))),
      ("clip.vision.feed_forward_length", .uint32(UInt32(feedForward))),
      ("clip.vision.projection_dim", .uint32(UInt32(textWidth))),
      ("clip.vision.block_count", .uint32(UInt32(layers))),
      ("clip.vision.attention.head_count", .uint32(UInt32(heads))),
      ("clip.vision.attention.layer_norm_epsilon", .float32(epsilon)),
      ("clip.vision.image_mean", .array(.float32(pixels.mean))),
      ("clip.vision.image_std", .array(.float32(pixels.deviation))),
    ]
  }
}
