import OccamCore
import OccamKernelContract
import OccamKernelsPortable

#if arch(x86_64)
  import OccamKernelsAVX2
  import OccamKernelsAVX512VNNI
  import OccamKernelsAVXVNNI
#elseif arch(arm64)
  import OccamKernelsNEON
  import OccamKernelsNEONDot
  import OccamKernelsNEONI8MM
#endif

/// The inner loops for one instruction set. A set whose instructions the processor lacks cannot be made.
package struct KernelSet: Sendable {
  package let name: String
  package let matmul: MatmulKernels
  package let vector: VectorKernels
  package let peak: PeakKernels

  private typealias Entry = (name: String, make: @Sendable (CPUFeatures) -> KernelSet?)

  /// Every set of this build, best first: the only list.
  private static var entries: [Entry] {
    var entries: [Entry] = []
    #if arch(x86_64)
      entries.append(
        (
          "avx512vnni",
          { cpu in
            guard cpu.avx2, cpu.fma, cpu.f16c, cpu.avx512f, cpu.avx512bw, cpu.avx512dq, cpu.avx512vl, cpu.avx512vnni
            else { return nil }
            return KernelSet(
              name: "avx512vnni", matmul: AVX512VNNIKernels.matmul, vector: AVX512VNNIVectorKernels.table,
              peak: AVX512VNNIKernels.peak)
          }
        ))
      entries.append(
        (
          "avxvnni",
          { cpu in
            guard cpu.avx2, cpu.fma, cpu.f16c, cpu.avxvnni else { return nil }
            return KernelSet(
              name: "avxvnni", matmul: AVXVNNIKernels.matmul, vector: AVX2VectorKernels.table,
              peak: AVXVNNIKernels.peak)
          }
        ))
      entries.append(
        (
          "avx2",
          { cpu in
            guard cpu.avx2, cpu.fma, cpu.f16c else { return nil }
            return KernelSet(
              name: "avx2", matmul: AVX2Kernels.matmul, vector: AVX2VectorKernels.table, peak: AVX2Kernels.peak)
          }
        ))
    #elseif arch(arm64)
      entries.append(
        (
          "neon-i8mm",
          { cpu in
            guard cpu.asimd, cpu.dotProducts, cpu.matrixProducts else { return nil }
            return KernelSet(
              name: "neon-i8mm", matmul: NEONI8MMKernels.matmul, vector: NEONVectorKernels.table,
              peak: NEONI8MMKernels.peak)
          }
        ))
      entries.append(
        (
          "neon-dot",
          { cpu in
            guard cpu.asimd, cpu.dotProducts else { return nil }
            return KernelSet(
              name: "neon-dot", matmul: NEONDotKernels.matmul, vector: NEONVectorKernels.table,
              peak: NEONDotKernels.peak)
          }
        ))
      entries.append(
        (
          "neon",
          { cpu in
            guard cpu.asimd else { return nil }
            return KernelSet(
              name: "neon", matmul: NEONKernels.matmul, vector: NEONVectorKernels.table, peak: NEONKernels.peak)
          }
        ))
    #endif
    entries.append(
      (
        "portable",
        { _ in
          KernelSet(
            name: "portable", matmul: PortableKernels.matmul, vector: PortableVectorKernels.table,
            peak: PortableKernels.peak)
        }
      ))
    return entries
  }

  /// The sets that run on a processor with these features, best first; never empty.
  package static func available(on cpu: CPUFeatures = .current) -> [KernelSet] { entries.compactMap { $0.make(cpu) } }

  /// - Parameter name: nil for OCCAM_KERNEL if that is set and not empty, else the best set.
  package static func named(_ name: String?) throws(MatmulError) -> KernelSet {
    let sets = available()
    guard let wanted = name ?? Switch.kernel.value, !(name == nil && wanted.isEmpty) else { return sets[0] }
    if let set = sets.first(where: { $0.name == wanted }) { return set }
    let names = sets.map(\.name)
    guard entries.contains(where: { $0.name == wanted }) else {
      throw .unknownKernel(name: wanted, available: names)
    }
    throw .unsupportedKernel(name: wanted, available: names)
  }
}
