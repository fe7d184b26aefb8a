import OccamKernelContract
import _Builtin_intrinsics.arm.neon

/// A stored weight format: four rows of a column as floats.
protocol FloatFormat: SendableMetatype {
  static var bytes: Int { get }
  static func four(_ pointer: UnsafeRawPointer) -> Floats
}

enum FormatF32: FloatFormat {
  @inline(__always) static var bytes: Int { 4 }

  @inline(__always)
  static func four(_ pointer: UnsafeRawPointer) -> Floats { pointer.load(as: Floats.self) }
}

/// Halves are widened: sums of halves would lose what the format's own rounding kept.
enum FormatF16: FloatFormat {
  @inline(__always) static var bytes: Int { 2 }

  @inline(__always)
  static func four(_ pointer: UnsafeRawPointer) -> Floats { floats(halves: pointer) }
}

enum FormatBF16: FloatFormat {
  @inline(__always) static var bytes: Int { 2 }

  @inline(__always)
  static func four(_ pointer: UnsafeRawPointer) -> Floats { floats(brains: pointer) }
}

/// Sums of 16 rows and `n` tokens: [token][4 rows].
private struct FloatSums<let n: Int> {
  var rows: InlineArray<n, Rows<Floats>>

  @inline(__always)
  init() { rows = InlineArray(repeating: Rows(repeating: vdupq_n_f32(0))) }

  /// Adds a column times `lane` of each token's register.
  @inline(__always)
  mutating func add(_ column: Rows<Floats>, times x: InlineArray<n, Floats>, lane: Int) {
    for t in 0..<n {
      for i in 0..<4 { rows[t][i] = vfmaq_f32(rows[t][i], column[i], vdupq_n_f32(x[t][lane])) }
    }
  }

  /// Adds `columns` columns of weights times each token's floats at `x`, `stride` bytes apart.
  /// - Parameter isFirst: weights come from main memory.
  @inline(__always)
  mutating func add<Format: FloatFormat>(
    _ format: Format.Type, _ weights: UnsafeRawPointer, _ x: UnsafeRawPointer, stride: Int, columns: Int, isFirst: Bool
  ) {
    let columnBytes = PanelLayout.rows &* Format.bytes
    var four = InlineArray<n, Floats>(repeating: vdupq_n_f32(0))
    var column = 0
    while column &+ 4 <= columns {
      if isFirst { prefetchWeights(weights + column &* columnBytes, lines: columnBytes / 16) }
      for t in 0..<n { four[t] = (x + (t &* stride &+ 4 &* column)).loadUnaligned(as: Floats.self) }
      for lane in 0..<4 {
        add(FloatSums.column(format, weights + (column &+ lane) &* columnBytes), times: four, lane: lane)
      }
      column &+= 4
    }
    while column < columns {
      for t in 0..<n { four[t] = vdupq_n_f32(x.load(fromByteOffset: t &* stride &+ 4 &* column, as: Float.self)) }
      add(FloatSums.column(format, weights + column &* columnBytes), times: four, lane: 0)
      column &+= 1
    }
  }

  @inline(__always)
  private static func column<Format: FloatFormat>(_: Format.Type, _ place: UnsafeRawPointer) -> Rows<Floats> {
    var rows = Rows<Floats>(repeating: vdupq_n_f32(0))
    for i in 0..<4 { rows[i] = Format.four(place + 4 &* i &* Format.bytes) }
    return rows
  }

  /// The results of one group so far.
  @inline(__always)
  init(_ out: UnsafeMutableRawPointer) {
    self.init()
    for t in 0..<n {
      for i in 0..<4 { rows[t][i] = floats(UnsafeRawPointer(out), 64 &* t &+ 16 &* i) }
    }
  }

  @inline(__always)
  func store(_ out: UnsafeMutableRawPointer) {
    for t in 0..<n {
      for i in 0..<4 { out.storeBytes(of: rows[t][i], toByteOffset: 64 &* t &+ 16 &* i, as: Floats.self) }
    }
  }
}

/// A single token multiplies with the panel as it is; several pass, four by four, a piece of the panel that is converted
/// once for all of them.
@inline(__always)
func runFloatTile<Format: FloatFormat>(_ format: Format.Type, _ a: TileArguments) {
  if a.tokens == 1 {
    var sums = FloatSums<1>()
    sums.add(format, a.panel, a.x, stride: 0, columns: a.columns, isFirst: true)
    sums.store(UnsafeMutableRawPointer(a.out))
  } else {
    severalFloats(format, a)
  }
}

/// A function of its own: the loop of a single token would lose registers to it.
@inline(never)
private func severalFloats<Format: FloatFormat>(_ format: Format.Type, _ a: TileArguments) {
  let columnBytes = PanelLayout.rows &* Format.bytes
  let stride = ActivationLayout.floatStride(a.groupStride)
  let out = UnsafeMutableRawPointer(a.out)
  let groups = (a.tokens &+ 3) / ActivationLayout.tokens
  clear(out, groups &* 256)
  let unpacked = out + TileLimits.tokens &* (PanelLayout.rows &* 4)
  var first = 0
  while first < a.columns {
    let count = min(64, a.columns &- first)
    for column in 0..<count {
      let place = a.panel + (first &+ column) &* columnBytes
      prefetchWeights(place, lines: (columnBytes &+ 63) / 64)
      for i in 0..<4 {
        let four = Format.four(place + 4 &* i &* Format.bytes)
        unpacked.storeBytes(of: four, toByteOffset: 64 &* column &+ 16 &* i, as: Floats.self)
      }
    }
    addFloatPiece(unpacked, a.x + first &* 4, stride: stride, columns: count, groups: groups, out)
    first &+= count
  }
}

/// Once for all formats: adds converted weights times all groups to out [tokens][16].
@inline(never)
private func addFloatPiece(
  _ weights: UnsafeMutableRawPointer, _ x: UnsafeRawPointer, stride: Int, columns: Int, groups: Int,
  _ out: UnsafeMutableRawPointer
) {
  for group in 0..<groups {
    let results = out + 256 &* group
    var sums = FloatSums<4>(results)
    sums.add(
      FormatF32.self, UnsafeRawPointer(weights), x + 4 &* group &* stride, stride: stride, columns: columns,
      isFirst: false)
    sums.store(results)
  }
}
