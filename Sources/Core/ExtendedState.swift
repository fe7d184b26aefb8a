#if arch(x86_64)
  /// XCR0, the register sets that the operating system saves on a context switch. Only for processors whose CPUID
  /// reports OSXSAVE; others fault. (Here because clang offers the instruction as a macro, which Swift cannot import.)
  package func extendedControlRegister() -> UInt64 { xgetbv(0) }

  @_extern(c, "llvm.x86.xgetbv")
  private func xgetbv(_ register: UInt32) -> UInt64
#endif
