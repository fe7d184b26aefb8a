@_extern(c, "llvm.prefetch.p0")
@usableFromInline
func llvmPrefetch(_ address: UnsafeRawPointer, _ write: Int32, _ locality: Int32, _ data: Int32)

/// Asks for the cache line at `address`, which need not exist.
@inlinable
@inline(__always)
package func prefetch(_ address: UnsafeRawPointer) { llvmPrefetch(address, 0, 3, 1) }

/// Asks for `lines` lines of weights 4 KB ahead of `weights`, far enough to arrive from main memory in time. Panels
/// follow each other, so that the next one is on its way before this one ends. For two tokens and more, where products
/// and reading would otherwise take turns, for floats, and where AVX2 takes longer to unpack a line than to read it (2, 3,
/// 5 and 6 bits); a single token is faster with the processor's own prefetching alone in the other formats.
@inlinable
@inline(__always)
package func prefetchWeights(_ weights: UnsafeRawPointer, lines: Int) {
  for i in 0..<lines { prefetch(weights + (4096 &+ i &* 64)) }
}
