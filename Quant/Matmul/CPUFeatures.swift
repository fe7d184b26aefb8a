import OccamCore

#if arch(x86_64)
  import _Builtin_intrinsics.intel.cpuid
#endif

/// The instruction sets that this processor has and whose registers the operating system saves.
package struct CPUFeatures: Sendable, Equatable {
  package var avx2 = false
  package var fma = false
  package var f16c = false
  package var avxvnni = false
  package var avx512f = false
  package var avx512bw = false
  package var avx512dq = false
  package var avx512vl = false
  package var avx512vnni = false
  package var asimd = false
  package var dotProducts = false
  package var matrixProducts = false

  /// None: what every processor of the architecture has.
  package init() {}

  package static let current = CPUFeatures.detect()

  #if arch(x86_64)
    private static func detect() -> CPUFeatures {
      var features = CPUFeatures()
      guard let one = leaf(1) else { return features }
      // OSXSAVE: XGETBV may be executed. XCR0 bits 1, 2: xmm, ymm state; 5, 6, 7: mask registers and zmm.
      guard bit(one.ecx, 27) else { return features }
      let state = extendedControlRegister()
      guard state & 0x06 == 0x06, bit(one.ecx, 28) else { return features }
      features.fma = bit(one.ecx, 12)
      features.f16c = bit(one.ecx, 29)
      guard let seven = leaf(7) else { return features }
      features.avx2 = bit(seven.ebx, 5)
      // EAX of the first sub-leaf is the number of further ones.
      if seven.eax >= 1, let more = leaf(7, 1) { features.avxvnni = bit(more.eax, 4) }
      guard state & 0xe6 == 0xe6 else { return features }
      features.avx512f = bit(seven.ebx, 16)
      features.avx512dq = bit(seven.ebx, 17)
      features.avx512bw = bit(seven.ebx, 30)
      features.avx512vl = bit(seven.ebx, 31)
      features.avx512vnni = bit(seven.ecx, 11)
      return features
    }

    private static func leaf(
      _ number: UInt32, _ part: UInt32 = 0
    ) -> (eax: UInt32, ebx: UInt32, ecx: UInt32)? {
      var (a, b, c, d): (UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0)
      return __get_cpuid_count(number, part, &a, &b, &c, &d) == 0 ? nil : (a, b, c)
    }

    private static func bit(_ word: UInt32, _ index: UInt32) -> Bool { (word >> index) & 1 == 1 }
  #elseif arch(arm64)
    /// HWCAP_ASIMD, HWCAP_ASIMDDP and HWCAP2_I8MM of Linux's asm/hwcap.h.
    private static func detect() -> CPUFeatures {
      let (first, second) = hardwareCapabilities()
      var features = CPUFeatures()
      features.asimd = first >> 1 & 1 == 1
      features.dotProducts = first >> 20 & 1 == 1
      features.matrixProducts = second >> 13 & 1 == 1
      return features
    }
  #else
    private static func detect() -> CPUFeatures { CPUFeatures() }
  #endif
}
