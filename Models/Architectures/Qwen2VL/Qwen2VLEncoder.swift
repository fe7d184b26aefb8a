import OccamCore
import OccamGGUF
import OccamImages
import OccamMatmul
import OccamPruning
import OccamTensors

/// The vision transformer of Qwen2-VL and Qwen2.5-VL: pictures of any size, rotary positions in two dimensions, norms
/// before attention and feed-forward and behind the last layer. In Qwen2.5-VL most layers see windows.
/// Reference: Hugging Face transformers, modeling_qwen2_vl.py and modeling_qwen2_5_vl.py; layout of the file: llama.cpp,
/// tools/mtmd/models/qwen2vl.cpp.
package final class Qwen2VLEncoder: VisionEncoder {
  package let shape: VisionShape
  package let weightBytes: Int
  private let configuration: Qwen2VLConfiguration
  /// A still picture stands in both frames that the two kernels of a patch see: their sum, [hidden x 3 * patch * patch].
  private let patchEmbedding: PackedMatrix
  private let layers: [Qwen2VLLayer]
  private let postNorm: Norm

  init(_ loader: WeightLoader, _ configuration: Qwen2VLConfiguration) throws {
    (self.configuration, shape) = (configuration, configuration.shape)
    let shape = configuration.shape
    let before = loader.bytes
    patchEmbedding = try loader.summedMatrix(
      ["v.patch_embd.weight", "v.patch_embd.weight.1"], rows: shape.hidden,
      flattening: [shape.patchSize, shape.patchSize, 3])
    let rotary = VisionRotary.table(headDimension: shape.hidden / shape.heads)
    layers = try (0..<shape.layers).map { try Qwen2VLLayer(loader, $0, configuration, rotary) }
    postNorm = try configuration.norm(loader, "v.post_ln")
    weightBytes = loader.bytes - before
  }

  package func encode(
    _ image: PreparedImage, request: EncoderRequest, compute: Compute, observer: EncoderObserver?
  ) throws(Cancelled) -> EncodedPatches {
    TimingTable.shared?.begin(group: "image 1-\(layers.count)")
    let (columns, rows) = (image.width / shape.patchSize, image.height / shape.patchSize)
    let windows = VisionWindows(columns: columns, rows: rows, side: configuration.windowSide ?? max(columns, rows))
    let patches = 0..<windows.order.count
    let register = request.register == nil ? nil : patches.count
    let x = compute.view(.residual, rows: patches.count + (register == nil ? 0 : 1), columns: shape.hidden)
    embed(image, windows, into: x, compute)
    if let register { x.row(register).update(repeating: 0, count: shape.hidden) }
    Probe.tensor("vision.input", x)
    let normed = compute.view(.normed, rows: x.rows, columns: shape.hidden)
    let positions = VisionRotary.positions(of: windows.order, columns: columns, register: register != nil)
    // The register belongs to no window: it sees all, and windows do not see it.
    let whole = VisibleRange(from: 0, to: Int32(x.rows))
    let ranges = windows.ranges + (register == nil ? [] : [whole])
    var scores: [Float]?
    for (index, layer) in layers.enumerated() {
      try compute.beginLayer(index, of: layers.count)
      // x += attention(norm(x))
      timed("vision.norm") { layer.norm1.apply(x, into: normed, compute) }
      let isScored = request.wantsScores && index == configuration.scoringLayer
      let found = positions.withUnsafeBufferPointer { positions in
        ranges.withUnsafeBufferPointer { ranges -> [Float]? in
          var sight = EncoderAttention.Sight(
            positions: positions.baseAddress, pairs: Double(x.rows) * Double(x.rows),
            score: isScored ? request.score : nil, scoring: isScored ? Array(0..<x.rows) : [])
          if !configuration.seesEverything(layer: index), let ranges = ranges.baseAddress {
            sight.visibility = .ranges(ranges)
            sight.pairs = windows.pairs
          }
          return layer.attention.run(normed, sight, into: x, compute)
        }
      }
      if let found { scores = found }
      // x += MLP(norm(x))
      timed("vision.norm") { layer.norm2.apply(x, into: normed, compute) }
      layer.feedForward.run(
        normed, layer: index, patches: patches, register: register, plan: request.register, observer: observer, into: x,
        compute)
      observer?.output(layer: index, x.slice(rows: patches))
      Probe.tensor("vision.layer-\(index)", x)
    }
    postNorm.apply(x, into: x, compute)
    return output(x, windows, hasRegister: register != nil, scores)
  }

  /// Rows of x: embedded patches, window by window.
  private func embed(
    _ image: PreparedImage, _ windows: VisionWindows, into x: MatrixView<Float>, _ compute: Compute
  ) {
    let width = 3 * shape.patchSize * shape.patchSize
    let cut = compute.view(.patches, rows: windows.order.count, columns: width)
    OccamImages.patches(of: image, patch: shape.patchSize, into: cut)
    let raster = compute.view(.mixed, rows: cut.rows, columns: shape.hidden)
    timed("vision.patches", products(cut.rows, patchEmbedding)) {
      compute.matmul.load(cut)
      compute.matmul.multiply(by: patchEmbedding, into: raster)
    }
    for (row, patch) in windows.order.enumerated() {
      x.row(row).update(from: raster.row(patch), count: shape.hidden)
    }
  }

  /// Features and scores of the patches row by row of the picture, the register's last.
  private func output(
    _ x: MatrixView<Float>, _ windows: VisionWindows, hasRegister: Bool, _ scores: [Float]?
  ) -> EncodedPatches {
    let features = AlignedBuffer<Float>(count: x.rows * shape.hidden, zeroed: false)
    // The register's row is the last in both orders.
    var ordered = scores
    for row in 0..<x.rows {
      let patch = row < windows.order.count ? windows.order[row] : row
      (features.pointer + patch * shape.hidden).update(from: x.row(row), count: shape.hidden)
      if let scores { ordered?[patch] = scores[row] }
    }
    return EncodedPatches(
      features: features, patches: windows.order.count, hidden: shape.hidden, hasRegister: hasRegister, scores: ordered)
  }
}
