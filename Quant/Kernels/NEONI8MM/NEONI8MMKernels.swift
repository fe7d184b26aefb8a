import OccamKernelContract
import OccamKernelsNEON
import _Builtin_intrinsics.arm.neon

/// Kernels for NEON with products of matrices of bytes, such as Cortex-A510 and A710, Neoverse V1 and N2.
package enum NEONI8MMKernels {
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
  return chains(rounds, adds: 32) { vmmlaq_s32($0, factor, factor) }
}
