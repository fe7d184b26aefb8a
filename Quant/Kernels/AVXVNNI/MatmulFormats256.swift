import OccamKernelContract
import OccamQuantFormats
import _Builtin_intrinsics.intel

/// Q4_K and Q5_K.
protocol AffineKernel: SuperKernel {}

extension AffineKernel {
  @inline(__always) static var hasTwoScales: Bool { false }
  @inline(__always) static var hasMins: Bool { true }
  @inline(__always) static var quants: Int { SuperPanel.quants }

  @inline(__always)
  static func scales(_ block: UnsafeRawPointer, _ step: Int) -> (first: Quad, second: Quad) {
    let scales = Quad(unsigned: block + (SuperPanel.scales &+ 16 &* step))
    return (scales, scales)
  }

  @inline(__always)
  static func corrections(_ block: UnsafeRawPointer, _ pair: Int) -> Quad {
    pairs(unsigned: block + (SuperPanel.mins &+ 32 &* pair))
  }
}

enum TileQ4_K: AffineKernel {
  @inline(__always) static var lines: Int { 4 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Quad, odd: Quad) {
    nibbles(lines + j &* PanelLayout.line)
  }
}

enum TileQ5_K: AffineKernel {
  @inline(__always) static var lines: Int { 5 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Quad, odd: Quad) {
    fiveBits(lines, j, Quad(line: lines + 4 &* PanelLayout.line))
  }
}

enum TileQ2_K: SuperKernel {
  @inline(__always) static var hasTwoScales: Bool { true }
  @inline(__always) static var hasMins: Bool { true }
  @inline(__always) static var quants: Int { SuperPanel2.quants }
  @inline(__always) static var lines: Int { 2 }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Quad, odd: Quad) {
    twoBits(Quad(line: lines + (j >> 1) &* PanelLayout.line), j & 1)
  }

  @inline(__always)
  static func scales(_ block: UnsafeRawPointer, _ step: Int) -> (first: Quad, second: Quad) {
    (factors(block, step) & _mm256_set1_epi8(15)).widened
  }

  @inline(__always)
  static func corrections(_ block: UnsafeRawPointer, _ pair: Int) -> Quad { factors(block, pair) >> 4 }

  /// Scale and min of a pair of sub-blocks, 16 rows, in 16-bit lanes.
  @inline(__always)
  private static func factors(_ block: UnsafeRawPointer, _ pair: Int) -> Quad {
    pairs(unsigned: block + (SuperPanel2.scales &+ 32 &* pair))
  }
}

/// Super-blocks of signed weights, stored with a zero point.
protocol SignedKernel: SuperKernel {
  static var pairCount: Int { get }
  /// Its power of two.
  static var zeroPointShift: Int32 { get }
}

extension SignedKernel {
  @inline(__always) static var hasMins: Bool { false }
  @inline(__always) static var quants: Int { SignedPanel.quants(pairs: pairCount) }

  @inline(__always)
  static func corrections(_ block: UnsafeRawPointer, _ pair: Int) -> Quad {
    (pairs(signed: block + (SignedPanel.scales &+ 32 &* pair)) << zeroPointShift).negated
  }
}

enum TileQ6_K: SignedKernel {
  @inline(__always) static var hasTwoScales: Bool { true }
  @inline(__always) static var pairCount: Int { 8 }
  @inline(__always) static var zeroPointShift: Int32 { 5 }
  @inline(__always) static var lines: Int { 6 }

  @inline(__always)
  static func scales(_ block: UnsafeRawPointer, _ step: Int) -> (first: Quad, second: Quad) {
    pairs(signed: block + (SignedPanel.scales &+ 32 &* step)).widened
  }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Quad, odd: Quad) {
    let (even, odd) = nibbles(lines + j &* PanelLayout.line)
    let tops = Quad(line: lines + (4 &+ (j >> 1)) &* PanelLayout.line)
    let mask = _mm256_set1_epi8(0x30)
    return j & 1 == 0
      ? (even | tops << 4 & mask, odd | tops << 2 & mask) : (even | tops & mask, odd | tops >> 2 & mask)
  }
}

enum TileQ3_K: SignedKernel {
  @inline(__always) static var hasTwoScales: Bool { true }
  @inline(__always) static var pairCount: Int { 8 }
  @inline(__always) static var zeroPointShift: Int32 { 2 }
  @inline(__always) static var lines: Int { 3 }

  @inline(__always)
  static func scales(_ block: UnsafeRawPointer, _ step: Int) -> (first: Quad, second: Quad) {
    pairs(signed: block + (SignedPanel.scales &+ 32 &* step)).widened
  }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Quad, odd: Quad) {
    let (even, odd) = twoBits(Quad(line: lines + (j >> 1) &* PanelLayout.line), j & 1)
    let tops = Quad(line: lines + 2 &* PanelLayout.line)
    let mask = _mm256_set1_epi8(4)
    switch j {
    case 0: return (even | tops << 2 & mask, odd | tops << 1 & mask)
    case 1: return (even | tops & mask, odd | tops >> 1 & mask)
    case 2: return (even | tops >> 2 & mask, odd | tops >> 3 & mask)
    default: return (even | tops >> 4 & mask, odd | tops >> 5 & mask)
    }
  }
}

enum TileIQ4_XS: SignedKernel {
  @inline(__always) static var hasTwoScales: Bool { false }
  @inline(__always) static var pairCount: Int { 4 }
  @inline(__always) static var zeroPointShift: Int32 { 7 }
  @inline(__always) static var lines: Int { 4 }

  @inline(__always)
  static func scales(_ block: UnsafeRawPointer, _ step: Int) -> (first: Quad, second: Quad) {
    let both = pairs(signed: block + (SignedPanel.scales &+ 32 &* (step >> 1)))
    let left = _mm_cvtsi32_si128(Int32(truncatingIfNeeded: 16 &- 16 &* (step & 1)))
    let scales = Quad(
      _mm256_srai_epi32(_mm256_sll_epi32(both.low, left), 16),
      _mm256_srai_epi32(_mm256_sll_epi32(both.high, left), 16))
    return (scales, scales)
  }

  @inline(__always)
  static func quads(_ lines: UnsafeRawPointer, _ j: Int) -> (even: Quad, odd: Quad) {
    chosen(lines + j &* PanelLayout.line, Codebook.iq4)
  }
}

/// Two neighbouring quads of a line of bit pairs, the first or the second two.
@inline(__always)
private func twoBits(_ line: Quad, _ two: Int) -> (even: Quad, odd: Quad) {
  let mask = _mm256_set1_epi8(3)
  return two == 0 ? (line & mask, line >> 2 & mask) : (line >> 4 & mask, line >> 6 & mask)
}
