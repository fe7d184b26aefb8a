#if arch(arm64)
  /// The instruction sets that the kernel reports: AT_HWCAP and AT_HWCAP2 of the auxiliary vector. (Here because the
  /// toolchain's Glibc module leaves the function out.)
  package func hardwareCapabilities() -> (first: UInt, second: UInt) { (getauxval(16), getauxval(26)) }

  @_extern(c)
  private func getauxval(_ kind: UInt) -> UInt
#endif
