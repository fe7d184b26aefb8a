import _Builtin_intrinsics.arm.neon

/// The body of `PeakKernels.integers`: independent chains of an instruction that adds `adds` products of bytes to 32-bit
/// sums.
@inline(__always)
func chains(_ rounds: Int, adds: Int, _ multiply: (Words) -> Words) -> (count: Int, check: Int) {
  var sums = InlineArray<16, Words>(repeating: vdupq_n_s32(1))
  for _ in 0..<rounds {
    for i in 0..<16 { sums[i] = multiply(sums[i]) }
  }
  var check = 0
  for i in 0..<16 { check &+= Int(sums[i][0]) }
  return (rounds &* 16 &* adds, check)
}
