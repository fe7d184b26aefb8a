/// What a tensor does in its model, as far as its name tells. The rules for the formats are stated in these terms.
enum TensorRole: Equatable {
  case tokenEmbedding
  case output
  /// attn_v, and the fused projections that contain it.
  case attentionValue
  case attentionOutput
  case feedForwardDown
  case other

  init(name: String) {
    if name == "output.weight" {
      self = .output
    } else if name == "token_embd.weight" || name == "per_layer_token_embd.weight" {
      self = .tokenEmbedding
    } else if ["attn_v.weight", "attn_qkv.weight", "attn_kv_b.weight"].contains(where: name.contains) {
      self = .attentionValue
    } else if name.contains("attn_output.weight") {
      self = .attentionOutput
    } else if name.contains("ffn_down") {
      self = .feedForwardDown
    } else {
      self = .other
    }
  }

  /// Whether a tensor may be quantized at all (llama.cpp's tensor_allows_quantization): weights of two dimensions or
  /// more; no norms, and none of the small or delicate tables below.
  static func mayQuantize(name: String, dimensions: [Int]) -> Bool {
    // Trailing dimensions of 1 do not make a matrix.
    guard (dimensions.lastIndex { $0 > 1 } ?? 0) >= 1, name.hasSuffix("weight") else { return false }
    return !kept.contains(where: name.contains) && name != "position_embd.weight" && name != "token_types.weight"
  }

  private static let kept = [
    "_norm.weight",
    // Expert routing.
    "ffn_gate_inp.weight",
    // Small convolutions and biases.
    "ssm_conv1d", "shortconv.conv.weight", "attn_rel_b.weight",
    // Vision: what turns pixels and positions into the first hidden state.
    ".position_embd", ".patch_embd", ".patch_merger", ".rel_pos", "sam.pos_embd", "sam.neck.", "sam.net_",
  ]
}

/// Which tower a tensor belongs to and which layer of it, from names such as "blk.3.attn_v.weight" (text) and
/// "v.blk.3.ffn_down.weight" (vision).
struct LayerPosition: Equatable {
  /// What stands before "blk.": "" for the text model, "v." for the vision encoder.
  let tower: Substring
  let layer: Int

  init?(name: String) {
    guard let range = name.firstRange(of: "blk.") else { return nil }
    tower = name[..<range.lowerBound]
    let rest = name[range.upperBound...]
    guard let dot = rest.firstIndex(of: "."), let layer = Int(rest[..<dot]), layer >= 0 else { return nil }
    self.layer = layer
  }
}
