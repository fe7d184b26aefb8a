import OccamCore
import OccamMatmul
import Testing

struct KernelsChoiceTests {
  @Test func aSetNeedsItsInstructions() {
    var cpu = CPUFeatures()
    #expect(KernelSet.available(on: cpu).map(\.name) == ["portable"])
    #if arch(x86_64)
      cpu.avx2 = true
      cpu.fma = true
      #expect(KernelSet.available(on: cpu).map(\.name) == ["portable"])
      cpu.f16c = true
      #expect(KernelSet.available(on: cpu).map(\.name) == ["avx2", "portable"])
      cpu.avxvnni = true
      #expect(KernelSet.available(on: cpu).map(\.name) == ["avxvnni", "avx2", "portable"])
      cpu.avxvnni = false
      cpu.avx512f = true
      cpu.avx512bw = true
      cpu.avx512dq = true
      cpu.avx512vl = true
      #expect(KernelSet.available(on: cpu).map(\.name) == ["avx2", "portable"])
      cpu.avx512vnni = true
      #expect(KernelSet.available(on: cpu).map(\.name) == ["avx512vnni", "avx2", "portable"])
      cpu.avxvnni = true
      #expect(KernelSet.available(on: cpu).map(\.name) == ["avx512vnni", "avxvnni", "avx2", "portable"])
    #elseif arch(arm64)
      cpu.matrixProducts = true
      cpu.dotProducts = true
      #expect(KernelSet.available(on: cpu).map(\.name) == ["portable"])
      cpu.asimd = true
      #expect(KernelSet.available(on: cpu).map(\.name) == ["neon-i8mm", "neon-dot", "neon", "portable"])
      cpu.matrixProducts = false
      #expect(KernelSet.available(on: cpu).map(\.name) == ["neon-dot", "neon", "portable"])
      cpu.dotProducts = false
      #expect(KernelSet.available(on: cpu).map(\.name) == ["neon", "portable"])
      cpu.matrixProducts = true
      #expect(KernelSet.available(on: cpu).map(\.name) == ["neon", "portable"])
    #endif
  }

  @Test func setsAreFoundByName() throws {
    for set in KernelSet.available() { #expect(try KernelSet.named(set.name).name == set.name) }
    let available = KernelSet.available().map(\.name)
    #expect(throws: MatmulError.unknownKernel(name: "sse9", available: available)) { try KernelSet.named("sse9") }
    #expect(throws: MatmulError.unknownKernel(name: "", available: available)) { try KernelSet.named("") }
  }

  /// What /proc/cpuinfo says is what CPUID and XCR0 say, or the auxiliary vector; in an emulator it is the host's, and the
  /// vector alone speaks for the emulated processor.
  @Test func detectionAgreesWithTheKernel() throws {
    #if arch(x86_64)
      let flags = try cpuFlags()
      let cpu = CPUFeatures.current
      #expect(cpu.avx2 == flags.contains("avx2"))
      #expect(cpu.fma == flags.contains("fma"))
      #expect(cpu.f16c == flags.contains("f16c"))
      #expect(cpu.avxvnni == flags.contains("avx_vnni"))
      #expect(cpu.avx512f == flags.contains("avx512f"))
      #expect(cpu.avx512bw == flags.contains("avx512bw"))
      #expect(cpu.avx512dq == flags.contains("avx512dq"))
      #expect(cpu.avx512vl == flags.contains("avx512vl"))
      #expect(cpu.avx512vnni == flags.contains("avx512_vnni"))
    #elseif arch(arm64)
      let cpu = CPUFeatures.current
      let vector = try auxiliaryVector()
      #expect(cpu.asimd == (vector[16, default: 0] & 1 << 1 != 0))
      #expect(cpu.dotProducts == (vector[16, default: 0] & 1 << 20 != 0))
      #expect(cpu.matrixProducts == (vector[26, default: 0] & 1 << 13 != 0))
      let flags = try cpuFlags()
      if flags.contains("asimd") {
        #expect(cpu.asimd)
        #expect(cpu.dotProducts == flags.contains("asimddp"))
        #expect(cpu.matrixProducts == flags.contains("i8mm"))
      }
    #endif
  }

  #if arch(arm64)
    /// Kind -> value, 64-bit words.
    private func auxiliaryVector() throws -> [UInt64: UInt64] {
      let bytes = try Files.read("/proc/self/auxv")
      let words = stride(from: 0, to: bytes.count / 8 * 8, by: 8).map { place in
        (0..<8).reduce(0) { $0 | UInt64(bytes[place + $1]) << (8 * UInt64($1)) }
      }
      return Dictionary(
        stride(from: 0, to: words.count - 1, by: 2).map { (words[$0], words[$0 + 1]) }, uniquingKeysWith: { $1 })
    }
  #endif

  private func cpuFlags() throws -> Set<String> {
    let text = String(decoding: try Files.read("/proc/cpuinfo"), as: UTF8.self)
    let line = text.split(separator: "\n").first { $0.hasPrefix("flags") || $0.hasPrefix("Features") } ?? ""
    return Set(line.split(separator: " ").map(String.init))
  }
}
