/// How a KV cache stores its numbers. Blocks are 32 numbers of one entry along the head dimension, with one binary16
/// scale.
package enum KVCacheFormat: Sendable, CaseIterable {
  case f32
  case f16
  /// 8-bit integers in blocks.
  case q8_0
  /// 4-bit integers in blocks, as ggml's Q4_0 rounds them.
  case q4_0

  /// Numbers in a block that shares a scale; nil: none do.
  var blockSize: Int? {
    switch self {
    case .f32, .f16: nil
    case .q8_0, .q4_0: 32
    }
  }
}

/// Keys and values need not be stored alike: keys take coarse rounding worse.
package struct KVCacheFormats: Sendable, Hashable {
  package var keys: KVCacheFormat
  package var values: KVCacheFormat

  package init(keys: KVCacheFormat, values: KVCacheFormat) {
    self.keys = keys
    self.values = values
  }

  package init(_ both: KVCacheFormat) { self.init(keys: both, values: both) }
}
