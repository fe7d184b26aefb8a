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
      convertsHalves: L.convertsHalves,
      narrow: VectorCells<L>.narrow,
      widen: VectorCells<L>.widen,
      quantize: VectorCells<L>.quantize,
      dequantizeKeys: VectorCells<L>.dequantizeKeys,
      dequantizeValues: VectorCells<L>.dequantizeValues,
      requantizeHalves: VectorRequantize<L>.halves,
      requantizeFloats: VectorRequantize<L>.floats,
      scores: VectorAttention<L>.scores,
      scoresHalf: VectorAttention<L>.scoresHalf,
      weightedValues: VectorAttention<L>.weightedValues,
      weightedValuesHalf: VectorAttention<L>.weightedValuesHalf,
      softmaxStep: VectorAttention<L>.softmaxStep)
  }
}
