import OccamKernelContract
import OccamQuantFormats
import _Builtin_intrinsics.intel

/// Q8_0 with limited sums (`BlockQ8_0.encodeSumLimited`) times activations of -104...104.
///
/// Activations are stored as 0...208, so that a byte product of two columns fits a 16-bit lane: 208 * 157 = 32,656. Four of
/// them are added there, together with -104 times the sum of their weights, which takes the offset away again: what is
/// left is 104 * 315 = 32,760 at most, whatever wrapped on the way.
enum TileQ8_0Limited: TileKernel {
  @inline(__always) static var columns: Int { 32 }
  @inline(__always) static var recordBytes: Int { Activation32.bytes }
  @inline(__always) static var blockBytes: Int { BlockPanel.bytes(lines: 8) }
  @inline(__always) static var pieceBlocks: Int { 8 }
  @inline(__always) static var unpackedBytes: Int { UnpackedLimited.bytes }

  @inline(__always)
  static func single(_ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ blocks: Int, _ out: UnsafeMutableRawPointer) {
    let offset = _mm256_set1_epi8(Int8(SumLimit.activation))
    TileQ8_0.single(panel, x, blocks, out) { _mm256_sub_epi8($0, offset) }
  }

  @inline(__always)
  static func unpack(_ block: UnsafeRawPointer, _ target: UnsafeMutableRawPointer) {
    storeScales(block + BlockPanel.scales, target + UnpackedLimited.scales)
    target.storeBytes(of: 4, toByteOffset: UnpackedLimited.quads, as: Int.self)
    for half in 0..<2 {
      let lines = block + (BlockPanel.quants(heads: 1) &+ 4 &* half &* PanelLayout.line)
      let place = target + (UnpackedLimited.halves &+ half &* UnpackedLimited.halfBytes)
      var sums = Quad.zero
      for j in 0..<4 {
        let quad = Quad(line: lines + j &* PanelLayout.line)
        sums = sums.addingPairs(of: quad)
        quad.store(place + (j &+ 1) &* PanelLayout.line)
      }
      let factor = _mm256_set1_epi16(Int16(-SumLimit.activation))
      Quad(_mm256_mullo_epi16(sums.low, factor), _mm256_mullo_epi16(sums.high, factor)).store(place)
    }
  }

  @inline(__always)
  static func multiply(
    _ weights: UnsafeRawPointer, _ x: UnsafeRawPointer, _ prepared: UnsafeRawPointer, _ blocks: Int,
    _ out: UnsafeMutableRawPointer
  ) {
    let ones = Quad(_mm256_set1_epi16(1), _mm256_set1_epi16(1))
    var total = FloatLanes<4>(out)
    for b in 0..<blocks {
      let block = weights + b &* unpackedBytes
      let x = x + b &* (Activation32.bytes &* ActivationLayout.tokens)
      let quads = block.load(fromByteOffset: UnpackedLimited.quads, as: Int.self)
      var sums = Lanes<4>()
      for half in 0..<2 {
        let place = block + (UnpackedLimited.halves &+ half &* UnpackedLimited.halfBytes)
        var lanes = Lanes<4>(repeating: Quad(line: place))
        var j = 0
        repeat {
          lanes.add(
            signed: Quad(line: place + (j &+ 1) &* PanelLayout.line),
            times: x + (Activation32.quants &+ 16 &* half &+ 4 &* j), record: Activation32.bytes)
          j &+= 1
        } while j < quads
        sums.add(lanes, times: ones)
      }
      let scales = block + UnpackedLimited.scales
      total.add(
        sums, scales.load(as: __m256.self), scales.load(fromByteOffset: 32, as: __m256.self),
        scale: x + Activation32.scale, record: Activation32.bytes)
    }
    total.store(out)
  }
}

/// A block as `multiply` reads it: byte offsets.
private enum UnpackedLimited {
  /// [16] float.
  static var scales: Int { 0 }
  /// Int, 4: a count that the compiler knows it unrolls until registers no longer suffice.
  static var quads: Int { 64 }
  /// Two times [16][2] Int16 offsets and four quads of signed bytes.
  static var halves: Int { 128 }
  static var halfBytes: Int { 5 &* PanelLayout.line }
  static var bytes: Int { halves &+ 2 &* halfBytes }
}

extension Quad {
  /// Each pair of signed bytes added to a 16-bit lane.
  @inline(__always)
  fileprivate func addingPairs(of bytes: Quad) -> Quad {
    let ones = _mm256_set1_epi8(1)
    return Quad(
      _mm256_add_epi16(low, _mm256_maddubs_epi16(ones, bytes.low)),
      _mm256_add_epi16(high, _mm256_maddubs_epi16(ones, bytes.high)))
  }
}

extension Lanes {
  @inline(__always)
  fileprivate init(repeating quad: Quad) {
    low = InlineArray(repeating: quad.low)
    high = InlineArray(repeating: quad.high)
  }

  /// Adds a quad of signed weights times each token's four unsigned activations at `x`, `record` bytes apart, in 16-bit
  /// lanes.
  @inline(__always)
  fileprivate mutating func add(signed quad: Quad, times x: UnsafeRawPointer, record: Int) {
    for t in 0..<n {
      let four = broadcast(x, t &* record)
      low[t] = _mm256_add_epi16(low[t], _mm256_maddubs_epi16(four, quad.low))
      high[t] = _mm256_add_epi16(high[t], _mm256_maddubs_epi16(four, quad.high))
    }
  }
}
