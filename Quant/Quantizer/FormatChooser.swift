import OccamGGUF
import OccamQuantFormats

/// The rules of the mixes: which format a tensor should have, its shape left aside.
struct FormatChooser {
  private let options: QuantizationOptions
  private let hasOutput: Bool
  /// 80 layers with grouped queries (the 70B shape): attn_v is small, and the gain of a bit more is large.
  private let hasSmallValues: Bool
  /// Four or more query heads share a key and value head.
  private let isGrouped: Bool
  /// Of attn_v and ffn_down tensors.
  private let ranks: [String: TensorRank]

  init(_ file: GGUFFile, _ options: QuantizationOptions) {
    self.options = options
    hasOutput = file.tensor("output.weight") != nil
    // Metadata is a hint here; a key that is absent or of an unusual type (head counts per layer) changes no rule.
    let architecture = (try? file.string("general.architecture")) ?? ""
    func number(_ key: String) -> Int? { (try? file.integer("\(architecture).\(key)")) ?? nil }
    let layers = number("block_count") ?? 0
    let heads = number("attention.head_count")
    let groups = number("attention.head_count_kv") ?? heads
    hasSmallValues = architecture == "llama" && layers == 80 && heads != groups
    // More heads than a model has: they are only counted here.
    if let heads, let groups, groups > 0 { isGrouped = heads / groups >= 4 } else { isGrouped = false }
    ranks = FormatChooser.ranks(file.tensors, textLayers: layers)
  }

  /// nil: the tensor keeps the type it has.
  func format(of info: GGUFTensorInfo) -> QuantFormat? {
    guard TensorRole.mayQuantize(name: info.name, dimensions: info.dimensions) else { return nil }
    let role = TensorRole(name: info.name)
    if role == .tokenEmbedding, let format = options.tokenEmbeddingFormat { return format }
    if role == .output, let format = options.outputFormat { return format }
    let base = options.type.base
    guard base.isQuantized, !options.pure else { return base }
    switch role {
    case .output: return outputFormat(info)
    case .tokenEmbedding: return hasOutput ? base : options.outputFormat ?? outputFormat(info)
    case .attentionValue:
      let format = options.type.valueFormat(rank(info), isGrouped: isGrouped)
      return hasSmallValues && (format == .q3_K || format == .q4_K) ? .q5_K : format
    case .attentionOutput: return options.type.attentionOutputFormat
    case .feedForwardDown: return options.type.downFormat(rank(info))
    case .other: return base
    }
  }

  private func outputFormat(_ info: GGUFTensorInfo) -> QuantFormat {
    let base = options.type.base
    let fits = (info.dimensions.first ?? 1) % base.blockSize == 0
    return base == .q8_0 || !fits ? .q8_0 : .q6_K
  }

  private func rank(_ info: GGUFTensorInfo) -> TensorRank { ranks[info.name] ?? TensorRank(index: 0, count: 1) }

  /// Of each tower's attn_v and ffn_down tensors their place in the order of layers.
  private static func ranks(_ tensors: [GGUFTensorInfo], textLayers: Int) -> [String: TensorRank] {
    var members: [Group: [(layer: Int, name: String)]] = [:]
    for info in tensors where TensorRole.mayQuantize(name: info.name, dimensions: info.dimensions) {
      let role = TensorRole(name: info.name)
      guard role == .attentionValue || role == .feedForwardDown else { continue }
      let position = LayerPosition(name: info.name)
      let group = Group(tower: position.map { String($0.tower) } ?? "", isDown: role == .feedForwardDown)
      members[group, default: []].append((position?.layer ?? -1, info.name))
    }
    var ranks: [String: TensorRank] = [:]
    for (group, list) in members {
      let count = group.isDown && group.tower.isEmpty && textLayers > 0 ? textLayers : list.count
      let sorted = list.sorted { ($0.layer, $0.name) < ($1.layer, $1.name) }
      for (index, member) in sorted.enumerated() { ranks[member.name] = TensorRank(index: index, count: count) }
    }
    return ranks
  }

  private struct Group: Hashable {
    let tower: String
    let isDown: Bool
  }
}
