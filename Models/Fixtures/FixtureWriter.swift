import OccamCore
import OccamGGUF
import OccamQuantFormats

/// Where a fixture was written.
package struct FixtureFiles: Sendable, Equatable {
  package let text: String
  /// The mmproj; nil when `text` holds both models, or the family reads text only.
  package let projector: String?
}

extension FixtureSpec {
  /// Writes `NAME-TYPE.gguf` and `mmproj-NAME-TYPE.gguf`, or `NAME-TYPE-fused.gguf` holding both, into a folder that
  /// exists; a text-only model is one file either way. The bytes depend on the specification and the types alone.
  /// - Parameter projectorType: weight type of the mmproj; `type` if nil. A fused file takes it for its `v.*` and `mm.*`.
  package func write(
    to folder: String, type: FixtureType, projectorType: FixtureType? = nil, isFused: Bool = false
  ) throws(GGUFError) -> FixtureFiles {
    let projectorType = projectorType ?? type
    let vocabulary = try VocabularyMetadata(self.vocabulary, family)
    var writer = GGUFWriter()
    for entry in textMetadata(type) + vocabulary.entries { writer.set(entry.key, entry.value) }
    try add(family.textTensors(text, vocabulary), type, to: &writer)
    let visionTensors = hasVision ? family.visionTensors(self) : []
    if isFused, hasVision {
      for entry in visionMetadata(projectorType, isFused: true) { writer.set(entry.key, entry.value) }
      try add(visionTensors, projectorType, to: &writer)
      let path = "\(folder)/\(name)-\(type.rawValue)-fused.gguf"
      try writer.write(to: path)
      return FixtureFiles(text: path, projector: nil)
    }
    let path = "\(folder)/\(name)-\(type.rawValue).gguf"
    try writer.write(to: path)
    guard hasVision else { return FixtureFiles(text: path, projector: nil) }
    var projector = GGUFWriter()
    for entry in visionMetadata(projectorType) { projector.set(entry.key, entry.value) }
    try add(visionTensors, projectorType, to: &projector)
    let projectorPath = "\(folder)/mmproj-\(name)-\(projectorType.rawValue).gguf"
    try projector.write(to: projectorPath)
    return FixtureFiles(text: path, projector: projectorPath)
  }

  private func add(_ tensors: [TensorPlan], _ type: FixtureType, to writer: inout GGUFWriter) throws(GGUFError) {
    for tensor in tensors {
      let format = type.format(of: tensor, textLayers: text.layers, isTied: text.isTied)
      guard let stored = GGMLType(rawValue: format.rawValue), let bytes = format.byteCount(elements: tensor.elements)
      else { throw GGUFError(name, .tensor(tensor.name), .unknownTensorType(format.rawValue)) }
      let (seed, isForTimingOnly) = (seed, isForTimingOnly)
      try writer.add(tensor: tensor.name, dimensions: tensor.shape, type: stored, byteCount: bytes) {
        (sink) throws(GGUFError) in
        if isForTimingOnly, let blocks = RandomBlocks(format, deviation: tensor.deviation) {
          try blocks.write(elements: tensor.elements, Noise(seed: seed, tensor: tensor.name), to: sink)
        } else {
          try tensor.write(Noise(seed: seed, tensor: tensor.name), format, to: sink)
        }
      }
    }
  }
}

extension TensorPlan {
  /// The tensor's rows, encoded one by one. - Precondition: a row holds whole blocks of `format`.
  fileprivate func write(_ noise: Noise, _ format: QuantFormat, to sink: GGUFSink) throws(GGUFError) {
    var noise = noise
    let row = AlignedBuffer<Float>(count: rowLength)
    let encoded = AlignedBuffer<UInt8>(count: rowLength / format.blockSize * format.blockBytes)
    for index in 0..<rows {
      fill(index, &noise, row.buffer)
      format.encode(row.pointer, count: rowLength, into: encoded.pointer)
      try sink.write(UnsafeRawBufferPointer(encoded.buffer))
    }
  }
}
