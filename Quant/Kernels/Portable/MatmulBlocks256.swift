import OccamKernelContract

func tileQ4_K(
  _ panel: UnsafeRawPointer, _ activations: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  if tokens == 1 {
    affineBlocks(panel, activations, columns, out, InlineArray<1, Lanes>(repeating: Lanes()), fifthBits: false)
  } else {
    affineBlocks(panel, activations, columns, out, InlineArray<4, Lanes>(repeating: Lanes()), fifthBits: false)
  }
}

func tileQ5_K(
  _ panel: UnsafeRawPointer, _ activations: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  if tokens == 1 {
    affineBlocks(panel, activations, columns, out, InlineArray<1, Lanes>(repeating: Lanes()), fifthBits: true)
  } else {
    affineBlocks(panel, activations, columns, out, InlineArray<4, Lanes>(repeating: Lanes()), fifthBits: true)
  }
}

func tileQ6_K(
  _ panel: UnsafeRawPointer, _ activations: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  if tokens == 1 {
    symmetricBlocks(panel, activations, columns, out, InlineArray<1, Lanes>(repeating: Lanes()))
  } else {
    symmetricBlocks(panel, activations, columns, out, InlineArray<4, Lanes>(repeating: Lanes()))
  }
}

/// Q4_K and Q5_K. Lanes hold a sub-block of 32: 31 * 127 * 8 = 31,496.
@inline(__always)
private func affineBlocks<let n: Int>(
  _ panel: UnsafeRawPointer, _ activations: UnsafeRawPointer, _ columns: Int, _ out: UnsafeMutablePointer<Float>,
  _ zero: InlineArray<n, Lanes>, fifthBits: Bool
) {
  clear(out, n)
  let linesPerBlock = fifthBits ? 5 : 4
  let blockBytes = SuperPanel.bytes(lines: linesPerBlock)
  withUnsafeTemporaryAllocation(byteCount: WideActivations.bytes, alignment: 16) { memory in
    guard let base = memory.baseAddress else { return }
    let x = WideActivations(base)
    for b in 0..<columns / 256 {
      let block = panel + b &* blockBytes
      let record = activations + b &* (Activation256.bytes &* ActivationLayout.tokens)
      var totals = InlineArray<4, InlineArray<n, SIMD4<Int32>>>(repeating: InlineArray(repeating: SIMD4()))
      for s in 0..<8 {
        x.load(record + (Activation256.quants &+ 32 &* s), Activation256.bytes, n)
        for quarter in 0..<4 {
          let lines = block + (SuperPanel.quants &+ s &* linesPerBlock &* PanelLayout.line &+ 16 &* quarter)
          let fifths = fifthBits ? bytes(lines, 4) : Bytes()
          var lanes = zero
          accumulate(&lanes, x, first: 0, count: 8) { j in
            guard fifthBits else { return Lanes(nibbles(lines, j)) }
            return Lanes(nibbles(lines, j) | ((fifths &>> UInt16(truncatingIfNeeded: j)) & 0x0101) &<< 4)
          }
          let scales = block.load(
            fromByteOffset: SuperPanel.scales &+ 16 &* s &+ 4 &* quarter, as: SIMD4<UInt8>.self)
          let wide = SIMD4<Int32>(truncatingIfNeeded: scales)
          for token in 0..<n { totals[quarter][token] &+= lanes[token].rows &* wide }
        }
      }
      for quarter in 0..<4 {
        let d = floats(halves: block.load(fromByteOffset: SuperPanel.d &+ 8 &* quarter, as: SIMD4<UInt16>.self))
        let dmin = floats(
          halves: block.load(fromByteOffset: SuperPanel.dmin &+ 8 &* quarter, as: SIMD4<UInt16>.self))
        for token in 0..<n {
          let record = record + token &* Activation256.bytes
          let scale = record.load(fromByteOffset: Activation256.scale, as: Float.self)
          let target = out + (token &* PanelLayout.rows &+ 4 &* quarter)
          addScaled(totals[quarter][token], d, scale, target)
          let mins = pairSums(
            block + (SuperPanel.mins &+ 8 &* quarter), UInt8.self, record + Activation256.sums32, pairs: 4)
          addScaled(mins, dmin, -scale, target)
        }
      }
    }
  }
}

/// Q6_K. Lanes hold a sub-block of 16: 63 * 127 * 4 = 32,004.
@inline(__always)
private func symmetricBlocks<let n: Int>(
  _ panel: UnsafeRawPointer, _ activations: UnsafeRawPointer, _ columns: Int, _ out: UnsafeMutablePointer<Float>,
  _ zero: InlineArray<n, Lanes>
) {
  clear(out, n)
  withUnsafeTemporaryAllocation(byteCount: WideActivations.bytes, alignment: 16) { memory in
    guard let base = memory.baseAddress else { return }
    let x = WideActivations(base)
    for b in 0..<columns / 256 {
      let block = panel + b &* SuperPanel6.bytes
      let record = activations + b &* (Activation256.bytes &* ActivationLayout.tokens)
      var totals = InlineArray<4, InlineArray<n, SIMD4<Int32>>>(repeating: InlineArray(repeating: SIMD4()))
      for s in 0..<16 {
        let (pair, half) = (s >> 1, s & 1)
        if half == 0 { x.load(record + (Activation256.quants &+ 32 &* pair), Activation256.bytes, n) }
        for quarter in 0..<4 {
          let lines = block + (SuperPanel6.quants &+ pair &* (6 &* PanelLayout.line) &+ 16 &* quarter)
          let tops = bytes(lines, 4 &+ half)
          var lanes = zero
          accumulate(&lanes, x, first: 4 &* half, count: 4) { j in
            let top = (tops &>> UInt16(truncatingIfNeeded: 2 &* j)) & 0x0303
            return Lanes(nibbles(lines, 4 &* half &+ j) | top &<< 4)
          }
          let scales = block.load(
            fromByteOffset: SuperPanel6.scales &+ 32 &* pair &+ 8 &* quarter, as: SIMD8<Int8>.self)
          let wide = SIMD4<Int32>(truncatingIfNeeded: half == 0 ? scales.evenHalf : scales.oddHalf)
          for token in 0..<n { totals[quarter][token] &+= lanes[token].rows &* wide }
        }
      }
      for quarter in 0..<4 {
        let d = block.load(fromByteOffset: SuperPanel6.d &+ 16 &* quarter, as: SIMD4<Float>.self)
        for token in 0..<n {
          let record = record + token &* Activation256.bytes
          let scale = record.load(fromByteOffset: Activation256.scale, as: Float.self)
          let offset = pairSums(
            block + (SuperPanel6.scales &+ 8 &* quarter), Int8.self, record + Activation256.sums16, pairs: 8)
          let total = totals[quarter][token] &- (offset &<< 5)
          addScaled(total, d, scale, out + (token &* PanelLayout.rows &+ 4 &* quarter))
        }
      }
    }
  }
}

/// For 4 rows: the sum over pairs p of factor[p][row][0] * sums[2 p] + factor[p][row][1] * sums[2 p + 1].
@inline(__always)
private func pairSums<Factor: FixedWidthInteger & SIMDScalar>(
  _ factors: UnsafeRawPointer, _ type: Factor.Type, _ sums: UnsafeRawPointer, pairs: Int
) -> SIMD4<Int32> {
  var total = SIMD4<Int32>()
  for pair in 0..<pairs {
    let both = factors.load(fromByteOffset: 32 &* pair, as: SIMD8<Factor>.self)
    let even = SIMD4<Int32>(truncatingIfNeeded: both.evenHalf)
    let odd = SIMD4<Int32>(truncatingIfNeeded: both.oddHalf)
    let first = Int32(sums.load(fromByteOffset: 4 &* pair, as: Int16.self))
    let second = Int32(sums.load(fromByteOffset: 4 &* pair &+ 2, as: Int16.self))
    total &+= even &* first &+ odd &* second
  }
  return total
}
