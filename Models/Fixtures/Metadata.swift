import OccamGGUF

/// Key and value pairs of a file, in order.
typealias Entries = [(key: String, value: GGUFValue)]

extension FixtureSpec {
  /// Metadata of the text file, without the vocabulary. Keys: FORMAT.md.
  func textMetadata(_ type: FixtureType) -> Entries {
    [
      ("general.architecture", .string("llama")),
      ("general.name", .string("Occam fixture \(name)")),
      ("general.file_type", .uint32(type.fileType)),
      ("general.quantization_version", .uint32(2)),
      ("llama.block_count", .uint32(UInt32(text.layers))),
      ("llama.context_length", .uint32(UInt32(text.contextLength))),
      ("llama.embedding_length", .uint32(UInt32(text.width))),
      ("llama.feed_forward_length", .uint32(UInt32(text.feedForward))),
      ("llama.attention.head_count", .uint32(UInt32(text.heads))),
      ("llama.attention.head_count_kv", .uint32(UInt32(text.kvHeads))),
      ("llama.attention.key_length", .uint32(UInt32(text.headSize))),
      ("llama.attention.value_length", .uint32(UInt32(text.headSize))),
      ("llama.attention.layer_norm_rms_epsilon", .float32(text.epsilon)),
      ("llama.rope.dimension_count", .uint32(UInt32(text.headSize))),
      ("llama.rope.freq_base", .float32(text.ropeBase)),
    ]
  }

  /// Metadata of the mmproj file; a fused file carries them beside the text model's, but for `general.*`.
  func visionMetadata(_ type: FixtureType, isFused: Bool = false) -> Entries {
    var entries: Entries = []
    if !isFused {
      entries += [
        ("general.architecture", .string("clip")),
        ("general.name", .string("Occam fixture \(name)")),
        ("general.file_type", .uint32(type.fileType)),
      ]
    }
    entries += [
      ("clip.has_vision_encoder", .bool(true)),
      ("clip.projector_type", .string("mlp")),
      ("clip.use_gelu", .bool(vision.activation == .gelu)),
      ("clip.vision.image_size", .uint32(UInt32(vision.imageSize))),
      ("clip.vision.patch_size", .uint32(UInt32(vision.patchSize))),
      ("clip.vision.embedding_length", .uint32(UInt32(vision.width))),
      ("clip.vision.feed_forward_length", .uint32(UInt32(vision.feedForward))),
      ("clip.vision.projection_dim", .uint32(UInt32(text.width))),
      ("clip.vision.block_count", .uint32(UInt32(vision.layers))),
      ("clip.vision.attention.head_count", .uint32(UInt32(vision.heads))),
      ("clip.vision.attention.layer_norm_epsilon", .float32(vision.epsilon)),
      // CLIP's own numbers.
      ("clip.vision.image_mean", .array(.float32([0.481_454_66, 0.457_827_5, 0.408_210_73]))),
      ("clip.vision.image_std", .array(.float32([0.268_629_54, 0.261_302_58, 0.275_777_11]))),
    ]
    if let layer = vision.featureLayer {
      entries.append(("clip.vision.feature_layer", .array(.int32([Int32(layer)]))))
    }
    return entries
  }
}
