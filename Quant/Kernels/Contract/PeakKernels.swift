/// The bounds of the machine, for kernel-bench: what its multiply-add instructions and its memory give at most.
package struct PeakKernels: Sendable {
  /// Independent chains of the instruction that 4-bit products use, `rounds` times: (multiply-adds done, a value that
  /// depends on all of them).
  package let integers: @Sendable (_ rounds: Int) -> (count: Int, check: Int)
  /// The same for float products.
  package let floats: @Sendable (_ rounds: Int) -> (count: Int, check: Int)
  /// Reads `bytes` bytes, a multiple of 512, at `pointer`, 64-byte aligned.
  package let read: @Sendable (_ pointer: UnsafeRawPointer, _ bytes: Int) -> Int

  package init(
    integers: @escaping @Sendable (Int) -> (count: Int, check: Int),
    floats: @escaping @Sendable (Int) -> (count: Int, check: Int),
    read: @escaping @Sendable (UnsafeRawPointer, Int) -> Int
  ) {
    self.integers = integers
    self.floats = floats
    self.read = read
  }
}

/// The body of `PeakKernels.read`, compiled for each instruction set.
@inlinable
@inline(__always)
package func readMemory(_ pointer: UnsafeRawPointer, _ bytes: Int) -> Int {
  var sums = (SIMD8<Int64>(), SIMD8<Int64>())
  for i in 0..<bytes / 128 {
    let place = pointer + i &* 128
    sums.0 &+= place.load(as: SIMD8<Int64>.self)
    sums.1 &+= place.load(fromByteOffset: 64, as: SIMD8<Int64>.self)
  }
  return Int((sums.0 &+ sums.1).wrappedSum())
}
