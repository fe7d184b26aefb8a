import Glibc
import OccamCore
import OccamGGUF
import OccamImages
import OccamMatmul
import OccamModels

/// A copy of fixture g2's projector file in which one MLP channel makes outlier patches, as trained encoders have them.
enum OutlierEncoder {
  static let layer = 1
  static let channel = 77
  /// Patches of all photos together that the channel is active at.
  private static let active = 8
  /// Factor of the channel's own row: it is then far from zero everywhere.
  private static let steepness: Float = 12

  static func write(_ source: String, to path: String, photos: [String]) throws {
    let file = try GGUFFile(path: source)
    let inputs = try preactivations(file, photos).sorted(by: >)
    let threshold = (inputs[active - 1] + inputs[active]) / 2
    var writer = GGUFWriter()
    writer.copyMetadata(of: file)
    for tensor in file.tensors {
      var values = Array(file.bytes(tensor))
      let columns = tensor.dimensions[0]
      // In this fixture `ffn_down` is the first matrix [width -> channels] and `ffn_up` the second.
      switch tensor.name {
      case "v.blk.\(layer).ffn_down.weight":
        edit(&values) { floats in for index in 0..<columns { floats[channel * columns + index] *= steepness } }
      case "v.blk.\(layer).ffn_down.bias":
        edit(&values) { $0[channel] = steepness * ($0[channel] - threshold) }
      case "v.blk.\(layer).ffn_up.weight":
        edit(&values) { floats in
          for row in 0..<tensor.dimensions[1] { floats[row * columns + channel] = row % 2 == 0 ? 40 : -40 }
        }
      default: break
      }
      try writer.add(tensor: tensor.name, dimensions: tensor.dimensions, type: tensor.type, data: values)
    }
    try writer.write(to: path)
  }

  /// What goes into the channel's activation at every patch of every photo.
  private static func preactivations(_ file: GGUFFile, _ photos: [String]) throws -> [Float] {
    let kernels = try KernelSet.named(nil)
    let team = WorkerTeam(threads: 2)
    let encoder = try ModelRegistry.vision(
      WeightLoader(file: file, kernels: kernels, team: team)
    ).encoder
    let compute = Compute(kernels: kernels, team: team)
    let observer = ChannelObserver()
    let shape = encoder.shape
    for path in photos {
      let photo = try decodeImage(try Files.read(path), subject: path)
      let prepared = preprocessLLaVA15(photo, size: shape.imageSize, mean: shape.mean, deviation: shape.deviation)
      _ = try encoder.encode(prepared, request: EncoderRequest(), compute: compute, observer: observer)
    }
    return observer.values.map(inverseGELU)
  }

  /// x with x * sigmoid(1.702 x) = y, for the branch that rises; 0 where y is not positive.
  private static func inverseGELU(_ y: Float) -> Float {
    guard y > 0 else { return 0 }
    var (low, high) = (Float(0), y + 2)
    for _ in 0..<60 {
      let middle = (low + high) / 2
      if middle / (1 + exp(-1.702 * middle)) < y { low = middle } else { high = middle }
    }
    return low
  }

  private static func edit(_ bytes: inout [UInt8], _ change: (inout [Float]) -> Void) {
    var floats = bytes.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
    change(&floats)
    bytes = floats.withUnsafeBytes { Array($0) }
  }
}

private final class ChannelObserver: EncoderObserver {
  var values: [Float] = []

  func hidden(layer: Int, _ activations: MatrixView<Float>) {
    guard layer == OutlierEncoder.layer else { return }
    values += (0..<activations.rows).map { activations.row($0)[OutlierEncoder.channel] }
  }

  func output(layer: Int, _ values: MatrixView<Float>) {}
}
