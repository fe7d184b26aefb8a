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
  return chains(rounds, adds: 16) { vdotq_s32($0, factor, factor) }
}
