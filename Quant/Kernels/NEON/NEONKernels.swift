import OccamKernelContract
import OccamQuantFormats
import _Builtin_intrinsics.arm.neon

/// Kernels for every processor with NEON, such as Cortex-A53 and A72.
package enum NEONKernels {
  package static var matmul: MatmulKernels {
    quantizedKernels { format in
      switch format {
      case .f32: floatTile(FormatF32.self)
      case .f16: floatTile(FormatF16.self)
      default: floatTile(FormatBF16.self)
      }
    }
  }

  package static var peak: PeakKernels { PeakKernels(integers: integers, floats: floats, read: read) }
}

@inline(__always)
private func floatTile<F: FloatFormat>(_ format: F.Type) -> MatmulKernels.Tile { { runFloatTile(F.self, $0) } }

private func integers(_ rounds: Int) -> (count: Int, check: Int) {
  let factor = vdupq_n_s8(1)
  var sums = InlineArray<16, SIMD8<Int16>>(repeating: vdupq_n_s16(1))
  for _ in 0..<rounds {
    for i in 0..<16 { sums[i] = vmlal_high_s8(sums[i], factor, factor) }
  }
  var check = 0
  for i in 0..<16 { check &+= Int(sums[i][0]) }
  return (rounds &* 16 &* 8, check)
}

private func floats(_ rounds: Int) -> (count: Int, check: Int) {
  let factor = vdupq_n_f32(0.5)
  var sums = InlineArray<16, Floats>(repeating: factor)
  for _ in 0..<rounds {
    for i in 0..<16 { sums[i] = vfmaq_f32(factor, sums[i], factor) }
  }
  var check = 0
  for i in 0..<16 { check &+= Int(sums[i][0]) }
  return (rounds &* 16 &* 4, check)
}

private func read(_ pointer: UnsafeRawPointer, _ bytes: Int) -> Int { readMemory(pointer, bytes) }
