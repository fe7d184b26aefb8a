#if arch(x86_64)
  import OccamKernelContract
  import _Builtin_intrinsics.intel

  /// AVX-512: sixteen lanes are one register. Never call these functions on a processor without it.
  package enum AVX512Lanes: VectorLanes {
    @inline(__always)
    package static func multiplyAdd(_ a: Lanes16, _ b: Lanes16, _ c: Lanes16) -> Lanes16 {
      _mm512_fmadd_ps(a, b, c)
    }

    @inline(__always)
    package static func maximum(_ a: Lanes16, _ b: Lanes16) -> Lanes16 { _mm512_max_ps(a, b) }

    @inline(__always)
    package static func largestLane(_ value: Lanes16) -> Float { _mm512_reduce_max_ps(value) }

    @inline(__always)
    package static func widen(_ halves: UnsafePointer<UInt16>) -> Lanes16 {
      _mm512_cvtph_ps(UnsafeRawPointer(halves).loadUnaligned(as: SIMD4<Int64>.self))
    }

    @inline(__always)
    package static func widen(_ integers: UnsafePointer<Int8>) -> Lanes16 {
      _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(UnsafeRawPointer(integers).loadUnaligned(as: SIMD2<Int64>.self)))
    }

    /// Two registers: six rows take twelve accumulators, enough to cover the latency of two units. A
    /// struct of our own would bring value witnesses: weak functions that other modules share.
    package typealias Wide = SIMD32<Float>
    typealias Pair = (Lanes16, Lanes16)
    @inline(__always) package static var convertsHalves: Bool { true }
    @inline(__always) package static var wideCount: Int { 32 }
    @inline(__always) package static var wideZero: Wide { join((Lanes16(repeating: 0), Lanes16(repeating: 0))) }
    @inline(__always) static func join(_ pair: Pair) -> Wide { unsafeBitCast(pair, to: Wide.self) }

    @inline(__always)
    package static func wideLoad(_ floats: UnsafePointer<Float>) -> Wide {
      UnsafeRawPointer(floats).loadUnaligned(as: Wide.self)
    }

    @inline(__always)
    package static func wideLoad(_ halves: UnsafePointer<UInt16>) -> Wide { join((widen(halves), widen(halves + 16))) }

    @inline(__always)
    package static func wideStore(_ value: Wide, _ out: UnsafeMutablePointer<Float>) {
      UnsafeMutableRawPointer(out).storeBytes(of: value, as: Wide.self)
    }

    @inline(__always)
    package static func wideMultiplyAdd(_ a: Float, _ b: Wide, _ c: Wide) -> Wide {
      let factor = Lanes16(repeating: a)
      let b = unsafeBitCast(b, to: Pair.self)
      let c = unsafeBitCast(c, to: Pair.self)
      return join((_mm512_fmadd_ps(factor, b.0, c.0), _mm512_fmadd_ps(factor, b.1, c.1)))
    }
  }

  package enum AVX512VNNIVectorKernels {
    package static var table: VectorKernels { .table(AVX512Lanes.self) }
  }
#endif
