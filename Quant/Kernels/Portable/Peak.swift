import OccamKernelContract

extension PortableKernels {
  package static var peak: PeakKernels { PeakKernels(integers: integers, floats: floats, read: read) }
}

private func integers(_ rounds: Int) -> (count: Int, check: Int) {
  let factor: SIMD8<Int16> = SIMD8(repeating: 3)
  var sums = InlineArray<12, SIMD8<Int16>>(repeating: factor)
  for _ in 0..<rounds {
    for i in 0..<12 { sums[i] = sums[i] &* factor &+ factor }
  }
  var check = 0
  for i in 0..<12 { check &+= Int(sums[i][0]) }
  return (rounds &* 12 &* 8, check)
}

private func floats(_ rounds: Int) -> (count: Int, check: Int) {
  let factor: SIMD4<Float> = SIMD4(repeating: 0.5)
  var sums = InlineArray<12, SIMD4<Float>>(repeating: factor)
  for _ in 0..<rounds {
    for i in 0..<12 { sums[i] = sums[i] * factor + factor }
  }
  var check = 0
  for i in 0..<12 { check &+= Int(sums[i][0]) }
  return (rounds &* 12 &* 4, check)
}

private func read(_ pointer: UnsafeRawPointer, _ bytes: Int) -> Int { readMemory(pointer, bytes) }
