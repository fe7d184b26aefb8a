import OccamGGUF

/// Gemma 4: local layers and global ones with wider heads, norms of queries, keys and values, no scale of the scores,
/// embeddings for each layer (E2B, E4B), last layers that read the entries of earlier ones, limited logits; an encoder for
/// pictures of any size with a position for each column and row, norms as in the text model, limited linear layers, and
/// squares of patches averaged. Keys and names: llama.cpp, conversion/gemma.py and tools/mtmd.
package enum Gemma4: FixtureFamily {
  package static let specs = [
    // As E2B: embeddings for each layer, four of eight layers share. Every text row is a multiple of 256 (K-quants) but
    // one. A window of 65 keeps two blocks of entries wherever it ends. Pictures take up to 24 tokens, for which the table
    // of positions has columns and rows.
    FixtureSpec(
      name: "gemma4-a", seed: 41, family: Gemma4.self,
      text: .init(
        layers: 8, width: 256, heads: 4, kvHeads: 1, headSize: 64, feedForward: 512, ropeBase: 1_000_000,
        contextLength: 4096, epsilon: 1e-6, isTied: true, slidingWindow: 65,
        mixed: .init(
          globalEvery: 4, globalHeadSize: 128, globalKVHeads: 1, sharedLayers: 4, sharedFeedForward: 1024,
          perLayerWidth: 32)),
      vision: .init(
        imageSize: 768, patchSize: 16, width: 128, heads: 4, feedForward: 256, layers: 3, hasClassToken: false,
        activation: .gelu, epsilon: 1e-6, merge: 3, namesMerge: false, positionsPerAxis: 72, hasLimits: true)),
    // As 31B: no embeddings for layers, global layers without value matrix in heads of 512; odd sizes. Tokens of
    // 2 x 2 patches, standardised.
    FixtureSpec(
      name: "gemma4-b", seed: 42, family: Gemma4.self,
      text: .init(
        layers: 6, width: 160, heads: 4, kvHeads: 2, headSize: 40, feedForward: 352, ropeBase: 1_000_000,
        contextLength: 4096, epsilon: 1e-6, isTied: true, slidingWindow: 330,
        mixed: .init(globalEvery: 3, globalHeadSize: 512, globalKVHeads: 1, globalValuesAreKeys: true)),
      vision: .init(
        imageSize: 120, patchSize: 12, width: 96, heads: 4, feedForward: 160, layers: 2, hasClassToken: false,
        activation: .gelu, epsilon: 1e-6, merge: 2, positionsPerAxis: 48, isStandardized: true)),
    // As 12B, but for its eyes: pictures take up to 280 tokens, as published models' do, many times a window.
    FixtureSpec(
      name: "gemma4-c", seed: 43, family: Gemma4.self,
      text: .init(
        layers: 4, width: 128, heads: 4, kvHeads: 2, headSize: 32, feedForward: 256, ropeBase: 1_000_000,
        contextLength: 4096, epsilon: 1e-6, isTied: true, slidingWindow: 65,
        mixed: .init(globalEvery: 2, globalHeadSize: 64, globalKVHeads: 1, globalValuesAreKeys: true)),
      vision: .init(
        imageSize: 768, patchSize: 16, width: 64, heads: 2, feedForward: 128, layers: 2, hasClassToken: false,
        activation: .gelu, epsilon: 1e-6, merge: 3, namesMerge: false, positionsPerAxis: 900)),
  ]

  package static func vocabulary(minimumCount: Int) -> VocabularyMetadata {
    let vocabulary = WholeTextVocabulary(
      leading: [
        ("<pad>", .control), ("<eos>", .control), ("<bos>", .control), ("<unk>", .control), ("<mask>", .control),
        ("<|turn>", .control), ("<turn|>", .control), ("<|think|>", .control), ("<|channel>", .userDefined),
        ("<channel|>", .userDefined), ("<|image>", .control), ("<image|>", .control), ("<|image|>", .control),
      ], minimumCount: minimumCount)
    return VocabularyMetadata(
      vocabulary, model: "gemma4", beginning: "<bos>", end: "<turn|>", padding: "<pad>", template: template)
  }

  /// Says of conversations without tools what the published template says: thoughts are cut out of replies, and an
  /// empty one begins the next.
  private static let template = """
    {%- macro without_thoughts(text) -%}{%- set ns = namespace(result='') -%}\
    {%- for part in text.split('<channel|>') -%}{%- if '<|channel>' in part -%}\
    {%- set ns.result = ns.result + part.split('<|channel>')[0] -%}{%- else -%}\
    {%- set ns.result = ns.result + part -%}{%- endif -%}{%- endfor -%}{{- ns.result | trim -}}{%- endmacro -%}\
    {{- bos_token -}}{%- for message in messages -%}\
    {%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}\
    {{- '<|turn>' + role + '\\n' -}}\
    {%- if message['content'] is string -%}\
    {{- without_thoughts(message['content']) if role == 'model' else message['content'] | trim -}}\
    {%- elif message['content'] is sequence -%}{%- for item in message['content'] -%}\
    {%- if item['type'] == 'text' -%}\
    {{- without_thoughts(item['text']) if role == 'model' else item['text'] | trim -}}\
    {%- elif item['type'] == 'image' -%}{{- '<|image|>' -}}{%- endif -%}{%- endfor -%}{%- endif -%}\
    {{- '<turn|>\\n' -}}{%- endfor -%}\
    {%- if add_generation_prompt -%}{{- '<|turn>model\\n' -}}\
    {%- if not enable_thinking | default(false) -%}{{- '<|channel>thought\\n<channel|>' -}}{%- endif -%}{%- endif -%}
    """

  package static func textMetadata(_ text: FixtureSpec.Text) -> MetadataEntries {
    var entries = text.metadata("gemma4")
    guard let mixed = text.mixed else { return entries }
    func set(_ key: String, _ value: GGUFValue) {
      entries.removeAll { $0.key == "gemma4.\(key)" }
      entries.append(("gemma4.\(key)", value))
    }
    let layers = 0..<text.layers
    // What is not the same in all layers is an array.
    if mixed.globalKVHeads != text.kvHeads {
      set(
        "attention.head_count_kv",
        .array(.int32(layers.map { Int32(text.isGlobal($0, mixed) ? mixed.globalKVHeads : text.kvHeads) })))
    }
    if let wide = mixed.sharedFeedForward {
      set(
        "feed_forward_length",
        .array(.int32(layers.map { Int32(text.isShared($0, mixed) ? wide : text.feedForward) })))
    }
    set("attention.key_length", .uint32(UInt32(mixed.globalHeadSize)))
    set("attention.value_length", .uint32(UInt32(mixed.globalHeadSize)))
    set("attention.key_length_swa", .uint32(UInt32(text.headSize)))
    set("attention.value_length_swa", .uint32(UInt32(text.headSize)))
    set("rope.dimension_count", .uint32(UInt32(mixed.globalHeadSize)))
    set("rope.dimension_count_swa", .uint32(UInt32(text.headSize)))
    set("rope.freq_base_swa", .float32(10_000))
    set("attention.sliding_window_pattern", .array(.bool(layers.map { !text.isGlobal($0, mixed) })))
    set("attention.shared_kv_layers", .uint32(UInt32(mixed.sharedLayers)))
    set("embedding_length_per_layer_input", .uint32(UInt32(mixed.perLayerWidth)))
    set("final_logit_softcapping", .float32(mixed.softcap))
    return entries
  }

  package static func textTensors(_ text: FixtureSpec.Text, _ vocabulary: VocabularyMetadata) -> [TensorPlan] {
    text.mixed.map { text.mixedTensors(vocabulary, $0) } ?? text.tensors(vocabulary, [.queryKeyNorms, .postNorms])
  }

  package static func visionMetadata(_ spec: FixtureSpec) -> MetadataEntries {
    // Published files do not say that the activation is GELU, so that llama.cpp takes the quick form.
    var entries = spec.vision.metadata(projector: "gemma4v", textWidth: spec.text.width, pixels: .identity)
    if spec.vision.namesMerge {
      entries.append(("clip.vision.projector.scale_factor", .uint32(UInt32(spec.vision.merge))))
    }
    return entries
  }

  package static func visionTensors(_ spec: FixtureSpec) -> [TensorPlan] {
    spec.vision.gemma4Tensors(textWidth: spec.text.width)
  }

  // MARK: Published shapes

  /// config.json of google/gemma-4-E2B-it; its file says 224 pixels, which nothing reads.
  package static let published = [
    FixtureSpec(
      name: "gemma4-e2b", seed: 1, family: Gemma4.self,
      text: .init(
        layers: 35, width: 1536, heads: 8, kvHeads: 1, headSize: 256, feedForward: 6144, ropeBase: 1_000_000,
        contextLength: 131_072, epsilon: 1e-6, isTied: true, slidingWindow: 512,
        mixed: .init(
          globalEvery: 5, globalHeadSize: 512, globalKVHeads: 1, sharedLayers: 20, sharedFeedForward: 12_288,
          perLayerWidth: 256)),
      vision: .init(
        imageSize: 768, patchSize: 16, width: 768, heads: 12, feedForward: 3072, layers: 16, hasClassToken: false,
        activation: .gelu, epsilon: 1e-6, merge: 3, namesMerge: false, positionsPerAxis: 10_240, hasLimits: true),
      vocabulary: .builtIn(minimumCount: 262_144), isForTimingOnly: true)
  ]
}
