import OccamKernelContract
import OccamKernelsNEON
import _Builtin_intrinsics.arm.neon

/// Kernels for NEON with dot products, such as Cortex-A55 and A76. Floats are NEON's: FP16 arithmetic, which these
/// processors have too, would round every sum to 11 bits.
package enum NEONDotKernels {
  package static var matmul: MatmulKernels {
    let neon = NEONKernels.matmul
    return quantizedKernels { neon.tile($0) }
  }

  package static var peak: PeakKernels {
    PeakKernels(integers: integers, floats: NEONKernels.peak.floats, read: NEONKernels.peak.read)
  }
}

private func integers(_ rounds: Int) -> (count: Int, check: Int) {
  let factor = vdupq_n_s8(1)
  var sums = InlineArray<16, Words>(repeating: vdupq_n_s32(1))
  for _ in 0..<rounds {
    for i in 0..<16 { sums[i] = vdotq_s32(sums[i], factor, factor) }
  }
  var check = 0
  for i in 0..<16 { check &+= Int(sums[i][0]) }
  return (rounds &* 16 &* 16, check)
}
