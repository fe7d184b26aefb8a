extension VectorKernels {
  /// All loops of this folder for one instruction set. Inlined into the kernel target, which thereby compiles them.
  @inlinable @inline(__always)
  public static func table<L: VectorLanes>(_: L.Type) -> VectorKernels {
    VectorKernels(
      rmsNorm: VectorRows<L>.rmsNorm,
      layerNorm: VectorRows<L>.layerNorm,
      add: VectorRows<L>.add,
      multiply: VectorRows<L>.multiply,
      addScaled: VectorRows<L>.addScaled,
      scale: VectorRows<L>.scale,
      siluMultiply: VectorRows<L>.siluMultiply,
      exponential: VectorRows<L>.exponential,
      softmax: VectorRows<L>.softmax,
      gelu: VectorRows<L>.gelu,
      geluErf: VectorRows<L>.geluErf,
      geluQuick: VectorRows<L>.geluQuick,
      silu: VectorRows<L>.silu,
      relu: VectorRows<L>.relu,
      rotateAdjacent: VectorRows<L>.rotateAdjacent,
      rotateHalves: VectorRows<L>.rotateHalves,
      convolve: VectorRows<L>.convolve,
      sigmoidMultiply: VectorRows<L>.sigmoidMultiply,
      matrixProduct: VectorAttention<L>.matrixProduct,
      deltaStep: VectorRows<L>.deltaStep,
      convertsHalves: L.convertsHalves,
      narrow: VectorKVFormats<L>.narrow,
      widen: VectorKVFormats<L>.widen,
      quantize: VectorKVFormats<L>.quantize,
      dequantizeKeys: VectorKVFormats<L>.dequantizeKeys,
      dequantizeValues: VectorKVFormats<L>.dequantizeValues,
      quantizeNibbles: VectorKVFormats<L>.quantizeNibbles,
      dequantizeKeyNibbles: VectorKVFormats<L>.dequantizeKeyNibbles,
      dequantizeValueNibbles: VectorKVFormats<L>.dequantizeValueNibbles,
      requantizeHalves: VectorRequantize<L>.halves,
      requantizeFloats: VectorRequantize<L>.floats,
      scores: VectorAttention<L>.scores,
      scoresHalf: VectorAttention<L>.scoresHalf,
      weightedValues: VectorAttention<L>.weightedValues,
      weightedValuesHalf: VectorAttention<L>.weightedValuesHalf,
      softmaxStep: VectorAttention<L>.softmaxStep)
  }
}
