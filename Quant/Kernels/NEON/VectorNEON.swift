#if arch(arm64)
  import OccamKernelContract
  import _Builtin_intrinsics.arm.neon

  /// NEON: sixteen lanes are four registers. Every NEON set uses these.
  package enum NEONLanes: VectorLanes {
    /// Sixteen lanes in their four registers.
    typealias Four = (Floats, Floats, Floats, Floats)

    @inline(__always)
    package static func multiplyAdd(_ a: Lanes16, _ b: Lanes16, _ c: Lanes16) -> Lanes16 {
      let a = unsafeBitCast(a, to: Four.self)
      let b = unsafeBitCast(b, to: Four.self)
      let c = unsafeBitCast(c, to: Four.self)
      return unsafeBitCast(
        (
          vfmaq_f32(c.0, a.0, b.0), vfmaq_f32(c.1, a.1, b.1), vfmaq_f32(c.2, a.2, b.2), vfmaq_f32(c.3, a.3, b.3)
        ), to: Lanes16.self)
    }

    /// Of a number and a NaN the number.
    @inline(__always)
    package static func maximum(_ a: Lanes16, _ b: Lanes16) -> Lanes16 {
      let a = unsafeBitCast(a, to: Four.self)
      let b = unsafeBitCast(b, to: Four.self)
      return unsafeBitCast(
        (vmaxnmq_f32(a.0, b.0), vmaxnmq_f32(a.1, b.1), vmaxnmq_f32(a.2, b.2), vmaxnmq_f32(a.3, b.3)),
        to: Lanes16.self)
    }

    @inline(__always)
    package static func largestLane(_ value: Lanes16) -> Float {
      let four = unsafeBitCast(value, to: Four.self)
      return vmaxnmvq_f32(vmaxnmq_f32(vmaxnmq_f32(four.0, four.1), vmaxnmq_f32(four.2, four.3)))
    }

    @inline(__always)
    package static func widen(_ halves: UnsafePointer<UInt16>) -> Lanes16 {
      let (low, high) = (eight(halves), eight(halves + 8))
      return unsafeBitCast((low.0, low.1, high.0, high.1), to: Lanes16.self)
    }

    @inline(__always)
    private static func eight(_ halves: UnsafePointer<UInt16>) -> (Floats, Floats) {
      let eight = UnsafeRawPointer(halves).loadUnaligned(as: float16x8_t.self)
      return (vcvt_f32_f16(vget_low_f16(eight)), vcvt_high_f32_f16(eight))
    }

    @inline(__always)
    package static func widen(_ integers: UnsafePointer<Int8>) -> Lanes16 {
      let bytes = UnsafeRawPointer(integers).loadUnaligned(as: SIMD16<Int8>.self)
      let (low, high) = (vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes))
      return unsafeBitCast(
        (
          vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
          vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))
        ), to: Lanes16.self)
    }

    /// Four registers: six rows take 24 accumulators of 32 registers.
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

  package enum NEONVectorKernels {
    package static var table: VectorKernels { .table(NEONLanes.self) }
  }
#endif
