import OccamGGUF
import OccamQuantFormats

/// A model that is never written: headers as the files would have them, and weights made when they are loaded.
package struct SyntheticModel: Sendable {
  package let text: GGUFFile
  /// nil for a family that reads text only.
  package let projector: GGUFFile?
  /// What loading needs for a moment beside the packed weights.
  package let largestTensorBytes: Int
}

extension FixtureSpec {
  /// What `write` would make, in memory. Weights have the same distribution, but not the same bytes: rows must not
  /// depend on each other.
  package func synthesizeModel(type: FixtureType, projectorType: FixtureType) throws(GGUFError) -> SyntheticModel {
    let text = try synthesizeText(type: type)
    let projector = try synthesizeProjector(type: projectorType)
    let largest = (text.tensors + (projector?.tensors ?? [])).map(\.byteRange.count).max() ?? 0
    return SyntheticModel(text: text, projector: projector, largestTensorBytes: largest)
  }

  /// The same with a projector.
  /// - Throws: for a family that reads text only.
  package func synthesize(type: FixtureType, projectorType: FixtureType) throws(GGUFError) -> SyntheticModel {
    guard hasVision else { throw GGUFError(name, .key("clip.has_vision_encoder"), .missing) }
    return try synthesizeModel(type: type, projectorType: projectorType)
  }

  /// The text file `write` would make, in memory.
  package func synthesizeText(type: FixtureType) throws(GGUFError) -> GGUFFile {
    let vocabulary = try VocabularyMetadata(self.vocabulary, family)
    return try file(name, textMetadata(type) + vocabulary.entries, family.textTensors(text, vocabulary), type)
  }

  /// The mmproj `write` would make, in memory; nil for a family that reads text only.
  package func synthesizeProjector(type: FixtureType) throws(GGUFError) -> GGUFFile? {
    guard hasVision else { return nil }
    return try file("mmproj-\(name)", visionMetadata(type), family.visionTensors(self), type)
  }

  private func file(
    _ subject: String, _ metadata: MetadataEntries, _ plans: [TensorPlan], _ type: FixtureType
  ) throws(GGUFError) -> GGUFFile {
    var table: [(name: String, dimensions: [Int], type: GGMLType)] = []
    for plan in plans {
      let format = type.format(of: plan, textLayers: text.layers, isTied: text.isTied)
      guard let stored = GGMLType(rawValue: format.rawValue) else {
        throw GGUFError(name, .tensor(plan.name), .unknownTensorType(format.rawValue))
      }
      table.append((plan.name, plan.shape, stored))
    }
    return try GGUFFile(
      subject: subject, metadata: metadata, tensors: table, generator: PlannedTensors(seed: seed, plans: plans))
  }
}

/// Rows of planned tensors: random blocks where only time counts, else encoded noise.
private struct PlannedTensors: TensorGenerator {
  let seed: UInt64
  private let plans: [String: TensorPlan]

  init(seed: UInt64, plans: [TensorPlan]) {
    self.seed = seed
    self.plans = Dictionary(plans.map { ($0.name, $0) }) { first, _ in first }
  }

  func write(_ tensor: GGUFTensorInfo, rows: Range<Int>, into bytes: UnsafeMutableRawPointer) {
    guard let plan = plans[tensor.name], let format = QuantFormat(rawValue: tensor.type.rawValue) else {
      preconditionFailure("PlannedTensors: '\(tensor.name)' is of another model")
    }
    let size = tensor.bytesPerRow
    if let blocks = RandomBlocks(format, deviation: plan.deviation) {
      for row in rows {
        var noise = Noise(seed: seed, tensor: plan.name, row: row)
        blocks.fill(bytes + (row - rows.lowerBound) * size, count: size, &noise)
      }
      return
    }
    withUnsafeTemporaryAllocation(of: Float.self, capacity: plan.rowLength) { floats in
      guard let source = floats.baseAddress else { return }
      for row in rows {
        var noise = Noise(seed: seed, tensor: plan.name, row: row)
        plan.fill(row, &noise, floats)
        format.encode(source, count: plan.rowLength, into: bytes + (row - rows.lowerBound) * size)
      }
    }
  }
}
