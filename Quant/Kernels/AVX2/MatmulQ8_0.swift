import OccamKernelContract
import _Builtin_intrinsics.intel

/// A single token takes weights as magnitudes, their signs given to the activations; a lane holds one pair:
/// 128 * 127 * 2 = 32,512.
///
/// Several tokens multiply blocks in one of two forms, chosen when a block is unpacked. Where no two neighbouring weights
/// of one sign add up to more than 128, activations are made unsigned, 1...255, and a lane holds a pair again:
/// 255 * 128 = 32,640; `BlockQ8_0.encodePairLimited` makes such blocks. Else both sides are widened to 16 bits.
enum TileQ8_0: TileKernel {
  @inline(__always) static var columns: Int { 32 }
  @inline(__always) static var recordBytes: Int { Activation32.bytes }
  @inline(__always) static var blockBytes: Int { BlockPanel.bytes(lines: 8) }
  @inline(__always) static var pieceBlocks: Int { 8 }
  @inline(__always) static var unpackedBytes: Int { UnpackedQ8_0.bytes }
  /// [block][4 tokens] 32 activations, widened as weights are.
  @inline(__always) static var preparedBytes: Int { pieceBlocks &* 256 }

  @inline(__always)
  static func single(_ panel: UnsafeRawPointer, _ x: UnsafeRawPointer, _ blocks: Int, _ out: UnsafeMutableRawPointer) {
    var total = FloatLanes<1>()
    let ones = _mm256_set1_epi16(1)
    for b in 0..<blocks {
      let block = panel + b &* blockBytes
      let x = x + b &* (Activation32.bytes &* ActivationLayout.tokens)
      var sums = Lanes<1>()
      for j in 0..<8 {
        let quad = Quad(line: block + (BlockPanel.quants &+ j &* PanelLayout.line))
        let (low, high) = (_mm256_abs_epi8(quad.low), _mm256_abs_epi8(quad.high))
        let four = broadcast(x, Activation32.quants &+ 4 &* j)
        let first = _mm256_maddubs_epi16(low, _mm256_sign_epi8(four, quad.low))
        let second = _mm256_maddubs_epi16(high, _mm256_sign_epi8(four, quad.high))
        sums.low[0] = _mm256_add_epi32(sums.low[0], _mm256_madd_epi16(first, ones))
        sums.high[0] = _mm256_add_epi32(sums.high[0], _mm256_madd_epi16(second, ones))
      }
      let scales = block + BlockPanel.scales
      total.add(
        sums, floats(halves: scales), floats(halves: scales + 16), scale: x + Activation32.scale,
        record: Activation32.bytes)
    }
    total.store(out)
  }

  @inline(__always)
  static func unpack(_ block: UnsafeRawPointer, _ target: UnsafeMutableRawPointer) {
    storeScales(block + BlockPanel.scales, target + UnpackedQ8_0.scales)
    let lines = block + BlockPanel.quants
    var sums = Quad.zero
    var largest = _mm256_setzero_si256()
    for j in 0..<8 {
      let quad = Quad(line: lines + j &* PanelLayout.line)
      sums = sums.addingPairs(of: quad)
      largest = _mm256_max_epi16(largest, _mm256_max_epi16(quad.low.largestOfPairs, quad.high.largestOfPairs))
    }
    let isLimited = _mm256_movemask_epi8(_mm256_cmpgt_epi16(largest, _mm256_set1_epi16(128))) == 0
    target.storeBytes(of: isLimited, toByteOffset: UnpackedQ8_0.isLimited, as: Bool.self)
    if isLimited {
      // The activations' offset of 128 taken away: -128 times each row's sum.
      let minus128 = _mm256_set1_epi16(-128)
      Quad(_mm256_madd_epi16(sums.low, minus128), _mm256_madd_epi16(sums.high, minus128)).store(
        target + UnpackedQ8_0.offsets)
      for j in 0..<8 {
        Quad(line: lines + j &* PanelLayout.line).store(target + (UnpackedQ8_0.lines &+ j &* PanelLayout.line))
      }
    } else {
      for j in 0..<8 {
        let quad = Quad(line: lines + j &* PanelLayout.line)
        let place = target + (UnpackedQ8_0.lines &+ 2 &* j &* PanelLayout.line)
        quad.evenBytes.store(place)
        quad.oddBytes.store(place + PanelLayout.line)
      }
    }
  }

  @inline(__always)
  static func prepare(
    _ weights: UnsafeRawPointer, _ x: UnsafeRawPointer, _ blocks: Int, _ target: UnsafeMutableRawPointer
  ) {
    for b in 0..<blocks {
      if weights.load(fromByteOffset: b &* unpackedBytes &+ UnpackedQ8_0.isLimited, as: Bool.self) { continue }
      for t in 0..<4 {
        let record = b &* ActivationLayout.tokens &+ t
        let quants = (x + (record &* Activation32.bytes &+ Activation32.quants)).loadUnaligned(as: __m256i.self)
        let place = target + record &* 64
        place.storeBytes(of: _mm256_srai_epi16(_mm256_slli_epi16(quants, 8), 8), as: __m256i.self)
        place.storeBytes(of: _mm256_srai_epi16(quants, 8), toByteOffset: 32, as: __m256i.self)
      }
    }
  }

  @inline(__always)
  static func multiply(
    _ weights: UnsafeRawPointer, _ x: UnsafeRawPointer, _ prepared: UnsafeRawPointer, _ blocks: Int,
    _ out: UnsafeMutableRawPointer
  ) {
    var total = FloatLanes<4>(out)
    for b in 0..<blocks {
      let block = weights + b &* unpackedBytes
      let x = x + b &* (Activation32.bytes &* ActivationLayout.tokens)
      let isLimited = block.load(fromByteOffset: UnpackedQ8_0.isLimited, as: Bool.self)
      let sums = isLimited ? limited(block, x + Activation32.quants) : widened(block, prepared + b &* 256)
      let scales = block + UnpackedQ8_0.scales
      total.add(
        sums, scales.load(as: __m256.self), scales.load(fromByteOffset: 32, as: __m256.self),
        scale: x + Activation32.scale, record: Activation32.bytes)
    }
    total.store(out)
  }

  @inline(__always)
  private static func limited(_ block: UnsafeRawPointer, _ x: UnsafeRawPointer) -> Lanes<4> {
    let ones = _mm256_set1_epi16(1)
    let offsets = Quad(line: block + UnpackedQ8_0.offsets)
    var sums = Lanes<4>()
    for t in 0..<4 { (sums.low[t], sums.high[t]) = (offsets.low, offsets.high) }
    for j in 0..<8 {
      let quad = Quad(line: block + (UnpackedQ8_0.lines &+ j &* PanelLayout.line))
      for t in 0..<4 {
        let four = _mm256_xor_si256(broadcast(x, t &* Activation32.bytes &+ 4 &* j), _mm256_set1_epi8(-128))
        let low = _mm256_madd_epi16(_mm256_maddubs_epi16(four, quad.low), ones)
        let high = _mm256_madd_epi16(_mm256_maddubs_epi16(four, quad.high), ones)
        sums.low[t] = _mm256_add_epi32(sums.low[t], low)
        sums.high[t] = _mm256_add_epi32(sums.high[t], high)
      }
    }
    return sums
  }

  @inline(__always)
  private static func widened(_ block: UnsafeRawPointer, _ x: UnsafeRawPointer) -> Lanes<4> {
    var sums = Lanes<4>()
    for j in 0..<8 {
      let pairs = block + (UnpackedQ8_0.lines &+ 2 &* j &* PanelLayout.line)
      sums.add(pairs: Quad(line: pairs), times: x + 4 &* j, record: 64)
      sums.add(pairs: Quad(line: pairs + PanelLayout.line), times: x + (4 &* j &+ 32), record: 64)
    }
    return sums
  }
}

/// A block of Q8_0 as `multiply` reads it: byte offsets.
private enum UnpackedQ8_0 {
  /// [16] float.
  static var scales: Int { 0 }
  /// [16] Int32, if limited.
  static var offsets: Int { 64 }
  /// Bool.
  static var isLimited: Int { 128 }
  /// If limited, 8 quads of signed bytes; else, widened to 16 bits, of each quad columns 0 and 2, then 1 and 3.
  static var lines: Int { 192 }
  static var bytes: Int { lines &+ 16 &* PanelLayout.line }
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

extension __m256i {
  /// Of each pair of signed bytes the sum of the positive ones or that of the negative ones' magnitudes, the larger.
  @inline(__always)
  fileprivate var largestOfPairs: __m256i {
    let (zero, ones) = (_mm256_setzero_si256(), _mm256_set1_epi8(1))
    let positive = _mm256_maddubs_epi16(_mm256_max_epi8(self, zero), ones)
    let negative = _mm256_maddubs_epi16(_mm256_abs_epi8(_mm256_min_epi8(self, zero)), ones)
    return _mm256_max_epi16(positive, negative)
  }
}
