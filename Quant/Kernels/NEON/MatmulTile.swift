import OccamKernelContract
import _Builtin_intrinsics.arm.neon

/// A format's products. A single token multiplies with the panel as it is; several pass, four by four, a piece of the
/// panel that is unpacked once for all of them to signed bytes and stays in the nearest cache.
///
/// A group of four tokens and 16 rows is worked on in parts. These files are compiled for every NEON set; `Products` is
/// what the sets differ in.
protocol TileKernel: SendableMetatype {
  /// Columns of a block of activations.
  static var columns: Int { get }
  /// Bytes of a block's activations of one token.
  static var recordBytes: Int { get }
  /// Bytes of a packed block.
  static var blockBytes: Int { get }
  /// Blocks unpacked at once: 4 to 7 KB, which leave room for sums and passing activations.
  static var pieceBlocks: Int { get }
  /// Bytes of an unpacked block.
  static var unpackedBytes: Int { get }

  /// All columns times one token.
  static func single(_ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ blocks: Int, _ out: UnsafeMutableRawPointer)

  static func unpack(_ block: UnsafeRawPointer, _ target: UnsafeMutableRawPointer)

  /// Adds unpacked blocks times one group of tokens to its 64 results.
  /// - Parameter memory: `TileLimits.groupBytes` to work with.
  static func multiply(
    _ weights: UnsafeRawPointer, _ x: UnsafeRawPointer, _ blocks: Int, _ out: UnsafeMutableRawPointer,
    _ memory: UnsafeMutableRawPointer)
}

/// Tokens and memory of one call, for all formats.
enum TileLimits {
  static var tokens: Int { 96 }
  /// Taken are at most 7,296: eight blocks of Q4_1 in `neon-i8mm` of 896 bytes each, and a group's.
  static var scratchBytes: Int { 8 << 10 }
  /// Of the scratch memory those that belong to one group, behind the unpacked piece.
  static var groupBytes: Int { 128 }
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
  let groupBytes = ActivationLayout.tokens &* PanelLayout.rows &* 4
  clear(out, groups &* groupBytes)
  let unpacked = out + TileLimits.tokens &* (PanelLayout.rows &* 4)
  let memory = unpacked + K.pieceBlocks &* K.unpackedBytes
  var first = 0
  while first < blocks {
    let count = min(K.pieceBlocks, blocks &- first)
    for b in 0..<count {
      let block = a.panel + (first &+ b) &* K.blockBytes
      prefetchWeights(block, lines: (K.blockBytes &+ 63) / 64)
      K.unpack(block, unpacked + b &* K.unpackedBytes)
    }
    let x = a.x + first &* (K.recordBytes &* ActivationLayout.tokens)
    for group in 0..<groups {
      K.multiply(unpacked, x + group &* a.groupStride, count, out + group &* groupBytes, memory)
    }
    first &+= count
  }
  Products.finish(out, groups: groups)
}

/// - Parameter bytes: a multiple of 16.
@inline(__always)
func clear(_ out: UnsafeMutableRawPointer, _ bytes: Int) {
  for i in 0..<bytes / 16 { out.storeBytes(of: vdupq_n_f32(0), toByteOffset: 16 &* i, as: Floats.self) }
}

/// Results of a part of a group: as many rows and tokens as a set's registers hold beside weights and activations.
struct Sums<Element: BitwiseCopyable> {
  var lanes: Products.Registers<Element>

  @inline(__always)
  init(repeating element: Element) { lanes = InlineArray(repeating: element) }
}

extension Sums<Floats> {
  /// What a part of one group has so far.
  @inline(__always)
  init(_ out: UnsafeMutableRawPointer, part: Int) {
    self.init(repeating: vdupq_n_f32(0))
    for i in lanes.indices { lanes[i] = floats(UnsafeRawPointer(out), Products.place(part, i)) }
  }

  @inline(__always)
  func store(_ out: UnsafeMutableRawPointer, part: Int) {
    for i in lanes.indices { out.storeBytes(of: lanes[i], toByteOffset: Products.place(part, i), as: Floats.self) }
  }

  /// Adds sums times (the rows' factors * the tokens' scales), the latter `record` bytes apart.
  /// - Parameter factors: of these rows, as `Products.storeFactors` wrote them.
  @inline(__always)
  mutating func add(_ sums: Sums<Floats>, _ factors: UnsafeRawPointer, scale x: UnsafeRawPointer, record: Int) {
    for i in lanes.indices {
      let product = vmulq_f32(Products.factor(factors, i), Products.token(x, record, i))
      lanes[i] = vfmaq_f32(lanes[i], sums.lanes[i], product)
    }
  }

  @inline(__always)
  mutating func subtract(_ sums: Sums<Floats>, _ factors: UnsafeRawPointer, scale x: UnsafeRawPointer, record: Int) {
    for i in lanes.indices {
      let product = vmulq_f32(Products.factor(factors, i), Products.token(x, record, i))
      lanes[i] = vfmsq_f32(lanes[i], sums.lanes[i], product)
    }
  }

  /// Adds the rows' factors times the tokens' floats, `record` bytes apart.
  @inline(__always)
  mutating func add(_ factors: UnsafeRawPointer, times x: UnsafeRawPointer, record: Int) {
    for i in lanes.indices {
      lanes[i] = vfmaq_f32(lanes[i], Products.factor(factors, i), Products.token(x, record, i))
    }
  }
}

extension Sums<Words> {
  @inline(__always)
  init(_ place: UnsafeRawPointer) {
    self.init(repeating: vdupq_n_s32(0))
    for i in lanes.indices { lanes[i] = words(place, 16 &* i) }
  }

  /// Adds sums times the rows' 32-bit factors.
  @inline(__always)
  mutating func add(_ sums: Sums<Words>, times factors: UnsafeRawPointer) {
    for i in lanes.indices {
      let factor = unsafeBitCast(Products.factor(factors, i), to: Words.self)
      lanes[i] = vmlaq_s32(lanes[i], sums.lanes[i], factor)
    }
  }

  /// As floats; exact, whatever they began with.
  /// - Parameter start: what the sums began with, `Products.start` or 0.
  @inline(__always)
  func asFloats(start: Int32) -> Sums<Floats> {
    var results = Sums<Floats>(repeating: vdupq_n_f32(0))
    for i in lanes.indices { results.lanes[i] = converted(lanes[i], start: start) }
    return results
  }
}

/// Integers below 2^22 in magnitude as floats. 1.5 * 2^23 plus the integer is a float's pattern, so that a sum that began
/// with this number needs one subtraction, which the A76 does twice as often as a conversion.
@inline(__always)
func converted(_ sums: Words, start: Int32) -> Floats {
  start == 0
    ? vcvtq_f32_s32(sums)
    : vsubq_f32(unsafeBitCast(sums, to: Floats.self), vdupq_n_f32(Float(bitPattern: UInt32(bitPattern: start))))
}

/// 1.5 * 2^23.
@inline(__always) var conversionStart: Int32 { 0x4b40_0000 }
