import OccamKernelContract
import _Builtin_intrinsics.intel

/// A format's products. A single token multiplies with the panel as it is; several pass, group after group, a piece of
/// the panel that is unpacked once for all of them and stays in the nearest cache.
protocol TileKernel: SendableMetatype {
  /// Columns of a block of activations.
  static var columns: Int { get }
  /// Bytes of a block's activations of one token.
  static var recordBytes: Int { get }
  /// Bytes of a packed block.
  static var blockBytes: Int { get }
  /// Blocks unpacked at once: about 4 KB, which leave room for sums and passing activations.
  static var pieceBlocks: Int { get }
  /// Bytes of an unpacked block.
  static var unpackedBytes: Int { get }
  /// Bytes of a piece's activations of one group where `prepare` rewrites them, else 0. Unpacked piece and two groups
  /// together fit `TileLimits.scratchBytes`.
  static var preparedBytes: Int { get }

  /// All columns times one token.
  static func single(_ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ blocks: Int, _ out: UnsafeMutableRawPointer)

  static func unpack(_ block: UnsafeRawPointer, _ target: UnsafeMutableRawPointer)

  /// Rewrites the activations of one group for `multiply`.
  static func prepare(
    _ weights: UnsafeRawPointer, _ x: UnsafeRawPointer, _ blocks: Int, _ target: UnsafeMutableRawPointer)

  /// Adds unpacked blocks times one group of tokens to out [4][16].
  static func multiply(
    _ weights: UnsafeRawPointer, _ x: UnsafeRawPointer, _ prepared: UnsafeRawPointer, _ blocks: Int,
    _ out: UnsafeMutableRawPointer)
}

extension TileKernel {
  @inline(__always) static var preparedBytes: Int { 0 }

  @inline(__always)
  static func prepare(
    _ weights: UnsafeRawPointer, _ x: UnsafeRawPointer, _ blocks: Int, _ target: UnsafeMutableRawPointer
  ) {}
}

/// Tokens and memory of one call, for all formats.
enum TileLimits {
  static var tokens: Int { 96 }
  static var scratchBytes: Int { 16 << 10 }
}

@inline(__always)
func runTile<K: TileKernel>(_ kernel: K.Type, _ a: TileArguments) {
  if a.tokens == 1 {
    K.single(a.panel, a.x, a.columns / K.columns, UnsafeMutableRawPointer(a.out))
  } else {
    runGroups(kernel, a)
  }
}

/// A function of its own: the loop of a single token would lose registers to it.
@inline(never)
private func runGroups<K: TileKernel>(_ kernel: K.Type, _ a: TileArguments) {
  let blocks = a.columns / K.columns
  let out = UnsafeMutableRawPointer(a.out)
  let groups = (a.tokens &+ 3) / ActivationLayout.tokens
  for i in 0..<groups &* 8 { out.storeBytes(of: _mm256_setzero_ps(), toByteOffset: i &* 32, as: __m256.self) }
  let unpacked = out + TileLimits.tokens &* (PanelLayout.rows &* 4)
  let prepared = unpacked + K.pieceBlocks &* K.unpackedBytes
  let groupBytes = ActivationLayout.tokens &* PanelLayout.rows &* 4
  var first = 0
  while first < blocks {
    let count = min(K.pieceBlocks, blocks &- first)
    for b in 0..<count {
      let block = a.panel + (first &+ b) &* K.blockBytes
      prefetchWeights(block, lines: (K.blockBytes &+ 63) / 64)
      K.unpack(block, unpacked + b &* K.unpackedBytes)
    }
    let x = a.x + first &* (K.recordBytes &* ActivationLayout.tokens)
    // One group ahead: what was just stored cannot be loaded at full speed yet.
    K.prepare(unpacked, x, count, prepared)
    for group in 0..<groups {
      let x = x + group &* a.groupStride
      let next = group &+ 1
      if K.preparedBytes > 0 && next < groups {
        K.prepare(unpacked, x + a.groupStride, count, prepared + (next & 1) &* K.preparedBytes)
      }
      K.multiply(unpacked, x, prepared + (group & 1) &* K.preparedBytes, count, out + group &* groupBytes)
    }
    first &+= count
  }
}
