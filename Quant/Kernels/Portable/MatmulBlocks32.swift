import OccamKernelContract

func tileQ4_0(
  _ panel: UnsafeRawPointer, _ activations: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  if tokens == 1 {
    blocks32(panel, activations, columns, out, InlineArray<1, Lanes>(repeating: Lanes()), signed: false)
  } else {
    blocks32(panel, activations, columns, out, InlineArray<4, Lanes>(repeating: Lanes()), signed: false)
  }
}

func tileQ8_0(
  _ panel: UnsafeRawPointer, _ activations: UnsafeRawPointer, _ groupStride: Int, _ tokens: Int, _ columns: Int,
  _ out: UnsafeMutablePointer<Float>
) {
  if tokens == 1 {
    blocks32(panel, activations, columns, out, InlineArray<1, Lanes>(repeating: Lanes()), signed: true)
  } else {
    blocks32(panel, activations, columns, out, InlineArray<4, Lanes>(repeating: Lanes()), signed: true)
  }
}

/// - Parameter signed: Q8_0; its bytes plus 128 are taken apart into nibbles, so that the products of a block fit
///   16-bit lanes: 15 * 127 * 8 = 15,240.
@inline(__always)
private func blocks32<let n: Int>(
  _ panel: UnsafeRawPointer, _ activations: UnsafeRawPointer, _ columns: Int, _ out: UnsafeMutablePointer<Float>,
  _ zero: InlineArray<n, Lanes>, signed: Bool
) {
  clear(out, n)
  let blocks = columns / 32
  let lines = panel + PanelLayout.quants(blocks: blocks)
  withUnsafeTemporaryAllocation(byteCount: WideActivations.bytes, alignment: 16) { memory in
    guard let base = memory.baseAddress else { return }
    let x = WideActivations(base)
    for b in 0..<blocks {
      let record = activations + b &* (Activation32.bytes &* ActivationLayout.tokens)
      x.load(record + Activation32.quants, Activation32.bytes, n)
      for quarter in 0..<4 {
        let scales = floats(halves: panel.load(fromByteOffset: b &* 32 &+ quarter &* 8, as: SIMD4<UInt16>.self))
        var sums = InlineArray<n, SIMD4<Int32>>(repeating: SIMD4())
        if signed {
          let block = lines + (b &* (8 &* PanelLayout.line) &+ quarter &* 16)
          for high in 0..<2 {
            let shift = UInt16(truncatingIfNeeded: 4 &* high)
            var lanes = zero
            accumulate(&lanes, x, first: 0, count: 8) { j in
              Lanes(((bytes(block, j) ^ 0x8080) &>> shift) & 0x0f0f)
            }
            for token in 0..<n { sums[token] &+= lanes[token].rows &<< Int32(truncatingIfNeeded: shift) }
          }
        } else {
          let block = lines + (b &* (4 &* PanelLayout.line) &+ quarter &* 16)
          var lanes = zero
          accumulate(&lanes, x, first: 0, count: 8) { j in Lanes(nibbles(block, j)) }
          for token in 0..<n { sums[token] = lanes[token].rows }
        }
        for token in 0..<n {
          let record = record + token &* Activation32.bytes
          let offset = record.load(
            fromByteOffset: signed ? Activation32.minus128 : Activation32.minus8, as: Int32.self)
          let scale = record.load(fromByteOffset: Activation32.scale, as: Float.self)
          addScaled(sums[token] &+ offset, scales, scale, out + (token &* PanelLayout.rows &+ quarter &* 4))
        }
      }
    }
  }
}
