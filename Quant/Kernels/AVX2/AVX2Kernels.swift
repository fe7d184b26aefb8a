import OccamKernelContract

package enum AVX2Kernels {
  package static var matmul: MatmulKernels { fatalError() }
}
