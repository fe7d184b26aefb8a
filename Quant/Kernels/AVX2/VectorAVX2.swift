#if arch(x86_64)
  import OccamKernelContract
  import _Builtin_intrinsics.intel

  /// AVX2, FMA and F16C: sixteen lanes are two registers. Never call these functions on a processor without them.
  package enum AVX2Lanes: VectorLanes {
    /// Sixteen lanes in their two registers.
    typealias Pair = (SIMD8<Float>, SIMD8<Float>)

    @inline(__always)
    package static func multiplyAdd(_ a: Lanes16, _ b: Lanes16, _ c: Lanes16) -> Lanes16 {
      let a = unsafeBitCast(a, to: Pair.self)
      let b = unsafeBitCast(b, to: Pair.self)
      let c = unsafeBitCast(c, to: Pair.self)
      return unsafeBitCast((_mm256_fmadd_ps(a.0, b.0, c.0), _mm256_fmadd_ps(a.1, b.1, c.1)), to: Lanes16.self)
    }

    @inline(__always)
    package static func maximum(_ a: Lanes16, _ b: Lanes16) -> Lanes16 {
      let a = unsafeBitCast(a, to: Pair.self)
      let b = unsafeBitCast(b, to: Pair.self)
      return unsafeBitCast((_mm256_max_ps(a.0, b.0), _mm256_max_ps(a.1, b.1)), to: Lanes16.self)
    }

    @inline(__always)
    package static func largestLane(_ value: Lanes16) -> Float {
      let eights = unsafeBitCast(value, to: Pair.self)
      let fours = unsafeBitCast(_mm256_max_ps(eights.0, eights.1), to: (SIMD4<Float>, SIMD4<Float>).self)
      let four = _mm_max_ps(fours.0, fours.1)
      let two = _mm_max_ps(four, SIMD4(four.z, four.w, four.z, four.w))
      return two.x < two.y ? two.y : two.x
    }

    @inline(__always)
    package static func widen(_ halves: UnsafePointer<UInt16>) -> Lanes16 {
      let bits = UnsafeRawPointer(halves)
      let low = _mm256_cvtph_ps(bits.loadUnaligned(as: SIMD2<Int64>.self))
      let high = _mm256_cvtph_ps(bits.loadUnaligned(fromByteOffset: 16, as: SIMD2<Int64>.self))
      return unsafeBitCast((low, high), to: Lanes16.self)
    }

    @inline(__always)
    package static func widen(_ integers: UnsafePointer<Int8>) -> Lanes16 {
      let bytes = UnsafeRawPointer(integers).loadUnaligned(as: SIMD2<Int64>.self)
      let low = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes))
      let high = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(SIMD2(bytes.y, 0)))
      return unsafeBitCast((low, high), to: Lanes16.self)
    }

    /// Two registers: six rows take twelve accumulators of sixteen registers.
    package typealias Wide = Lanes16
    @inline(__always) package static var convertsHalves: Bool { true }
    @inline(__always) package static var wideCount: Int { 16 }
    @inline(__always) package static var wideZero: Wide { Wide(repeating: 0) }
    @inline(__always) package static func wideLoad(_ floats: UnsafePointer<Float>) -> Wide { load16(floats) }
    @inline(__always) package static func wideLoad(_ halves: UnsafePointer<UInt16>) -> Wide { widen(halves) }

    @inline(__always)
    package static func wideStore(_ value: Wide, _ out: UnsafeMutablePointer<Float>) { store16(value, out) }

    @inline(__always)
    package static func wideMultiplyAdd(_ a: Float, _ b: Wide, _ c: Wide) -> Wide {
      multiplyAdd(Wide(repeating: a), b, c)
    }
  }

  package enum AVX2VectorKernels {
    package static var table: VectorKernels { .table(AVX2Lanes.self) }
  }
#endif
