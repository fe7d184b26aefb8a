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
  var sums = InlineArray<16, Words>(repeating: vdupq_n_s32(1))
  for _ in 0..<rounds {
    for i in 0..<16 { sums[i] = vmmlaq_s32(sums[i], factor, factor) }
  }
  var check = 0
  for i in 0..<16 { check &+= Int(sums[i][0]) }
  return (rounds &* 16 &* 32, check)
}
