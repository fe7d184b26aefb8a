import OccamKernelContract
import _Builtin_intrinsics.intel

extension AVX512VNNIKernels {
  package static var peak: PeakKernels { PeakKernels(integers: integers, floats: floats, read: read) }
}

private func integers(_ rounds: Int) -> (count: Int, check: Int) {
  let factor: __m512i = _mm512_set1_epi8(1)
  var sums = InlineArray<12, __m512i>(repeating: factor)
  for _ in 0..<rounds {
    for i in 0..<12 { sums[i] = _mm512_dpbusd_epi32(sums[i], factor, factor) }
  }
  var check = 0
  for i in 0..<12 { check &+= Int(sums[i][0]) }
  return (rounds &* 12 &* 64, check)
}

private func floats(_ rounds: Int) -> (count: Int, check: Int) {
  let factor: __m512 = _mm512_set1_ps(0.5)
  var sums = InlineArray<12, __m512>(repeating: factor)
  for _ in 0..<rounds {
    for i in 0..<12 { sums[i] = _mm512_fmadd_ps(sums[i], factor, factor) }
  }
  var check = 0
  for i in 0..<12 { check &+= Int(sums[i][0]) }
  return (rounds &* 12 &* 16, check)
}

private func read(_ pointer: UnsafeRawPointer, _ bytes: Int) -> Int { readMemory(pointer, bytes) }
