import OccamKernelContract
import OccamKernelsPortable

#if arch(x86_64)
  import OccamKernelsAVX2
  import OccamKernelsAVX512VNNI
#endif

extension KernelSet {
  /// Everything that is no matrix product, for the same instruction set.
  package var vector: VectorKernels {
    switch name {
    #if arch(x86_64)
      case "avx512vnni": AVX512VNNIVectorKernels.table
      case "avx2": AVX2VectorKernels.table
    #endif
    default: PortableVectorKernels.table
    }
  }
}
