import OccamKernelContract
import _Builtin_intrinsics.intel

extension AVX2Kernels {
  package static var peak: PeakKernels { PeakKernels(integers: integers, floats: floats, read: read) }
}

private func integers(_ rounds: Int) -> (count: Int, check: Int) {
  let factor: __m256i = _mm256_set1_epi8(1)
  var sums = InlineArray<12, __m256i>(repeating: factor)
  for _ in 0..<rounds {
    for i in 0..<12 { sums[i] = _mm256_maddubs_epi16(sums[i], factor) }
  }
  var check = 0
  for i in 0..<12 { check &+= Int(sums[i][0]) }
  return (rounds &* 12 &* 32, check)
}

private func floats(_ rounds: Int) -> (count: Int, check: Int) {
  let factor: __m256 = _mm256_set1_ps(0.5)
  var sums = InlineArray<12, __m256>(repeating: factor)
  for _ in 0..<rounds {
    for i in 0..<12 { sums[i] = _mm256_fmadd_ps(sums[i], factor, factor) }
  }
  var check = 0
  for i in 0..<12 { check &+= Int(sums[i][0]) }
  return (rounds &* 12 &* 8, check)
}

private func read(_ pointer: UnsafeRawPointer, _ bytes: Int) -> Int { readMemory(pointer, bytes) }
