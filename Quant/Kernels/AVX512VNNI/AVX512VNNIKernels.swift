import OccamKernelContract

package enum AVX512VNNIKernels {
  package static var matmul: MatmulKernels { fatalError() }
}
