@_extern(c, "llvm.prefetch.p0")
@usableFromInline
func llvmPrefetch(_ address: UnsafeRawPointer, _ write: Int32, _ locality: Int32, _ data: Int32)

/// Asks for the cache line at `address`, which need not exist.
@inlinable
@inline(__always)
package func prefetch(_ address: UnsafeRawPointer) { llvmPrefetch(address, 0, 3, 1) }

/// Asks for `lines` lines of weights 4 KB ahead of `weights`, far enough to arrive from main memory in time. Panels
/// follow each other, so that the next one is on its way before this one ends. Where products and reading take turns (two
/// tokens and more, unpacking that takes longer than reading) it counts most: on Zen 5 it doubles the speed of a single
/// token with Q6_K and IQ4_XS, takes Q4_K and Q5_K up by 40 %, and costs no format anything. AVX2's blocks of 4 and 8 bits
/// do without: there a single token was faster with the processor's own prefetching (Zen 3, Zen 4).
@inlinable
@inline(__always)
package func prefetchWeights(_ weights: UnsafeRawPointer, lines: Int) {
  for i in 0..<lines { prefetch(weights + (4096 &+ i &* 64)) }
}
