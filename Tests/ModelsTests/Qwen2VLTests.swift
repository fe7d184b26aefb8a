import OccamCore
import OccamGGUF
import OccamImages
import OccamMatmul
import OccamModels
import OccamPruning
import OccamTensors
import OccamTestSupport
import Testing

/// What is Qwen2-VL's own: windows, and scores of patches that stand in another order inside the encoder.
@Suite struct Qwen2VLTests {
  /// 6 x 5 patches in windows of 4 x 4: four of them, cut off at the right and below.
  @Test func windowsAreRuns() {
    let windows = VisionWindows(columns: 6, rows: 5, side: 4)
    let expected = [
      [0, 1, 2, 3, 6, 7, 8, 9, 12, 13, 14, 15, 18, 19, 20, 21], [4, 5, 10, 11, 16, 17, 22, 23], [24, 25, 26, 27],
      [28, 29],
    ]
    #expect(windows.order == expected.flatMap { $0 })
    var first: Int32 = 0
    var ranges: [VisibleRange] = []
    for window in expected {
      let range = VisibleRange(from: first, to: first + Int32(window.count))
      ranges += window.map { _ in range }
      first = range.to
    }
    #expect(windows.ranges == ranges)
    // 16 x 16, 8 x 8, 4 x 4 and 2 x 2.
    #expect(windows.pairs == 340)
  }

  @Test func oneWindowIsThePicture() {
    let windows = VisionWindows(columns: 3, rows: 2, side: 3)
    #expect(windows.order == Array(0..<6))
    #expect(windows.ranges.allSatisfy { $0 == VisibleRange(from: 0, to: 6) })
  }

  private static func encoder(_ fixture: String) throws -> (vision: VisionModel, compute: Compute) {
    let team = WorkerTeam(threads: 2)
    let kernels = try KernelSet.named(nil)
    let projector = try #require(try Fixture.makeFiles(fixture, "F32").projector)
    let vision = try ModelRegistry.vision(
      WeightLoader(file: try GGUFFile(path: projector), kernels: kernels, team: team))
    return (vision, Compute(kernels: kernels, team: team))
  }

  private static func tile(_ vision: VisionModel, _ picture: String) throws -> PreparedImage {
    let drawn = try #require(DrawnPicture(name: picture))
    return vision.plan.processor.prepare(Image(width: drawn.width, height: drawn.height, pixels: drawn.pixels)).tile(0)
  }

  /// Stage I's scores are transformers' attention weights of the last layer that sees everything, which is not the last
  /// one in `qwen25vl-b`; patches row by row whatever order the encoder has them in.
  @Test(arguments: ["qwen2vl-a", "qwen2vl-b", "qwen25vl-a", "qwen25vl-b"])
  func scoresAreTheReferences(fixture: String) throws {
    let golden = try NumPyArray(path: "\(Locations.goldens)/qwen2vl/data/\(fixture).scores.npy")
    let (vision, compute) = try Qwen2VLTests.encoder(fixture)
    let encoded = try vision.encoder.encode(
      Qwen2VLTests.tile(vision, "300x250-2"), request: EncoderRequest(wantsScores: true), compute: compute,
      observer: nil)
    let scores = try #require(encoded.scores)
    #expect(scores.count == golden.values.count && encoded.patches == scores.count)
    #expect(abs(scores.reduce(0, +) - 1) < 1e-4)
    #expect(error(of: scores, from: golden.values) < 2e-3)
    let grid = golden.shape
    #expect(grid[0] * grid[1] == scores.count && grid[0] != grid[1])
  }

  /// Calibration sees every patch once a layer, and the gated values that register neurons would move.
  @Test func registersMoveGatedValues() throws {
    let (vision, compute) = try Qwen2VLTests.encoder("qwen25vl-b")
    let tile = try Qwen2VLTests.tile(vision, "150x130-2")
    let plan = RegisterPlan([.init(layer: 1, channel: 5), .init(layer: 3, channel: 7)])
    let observer = HiddenObserver()
    let encoded = try vision.encoder.encode(
      tile, request: EncoderRequest(wantsScores: true, register: plan), compute: compute, observer: observer)
    let patches = encoded.patches
    #expect(encoded.hasRegister && encoded.scores?.count == patches + 1 && encoded.rows.rows == patches + 1)
    #expect(observer.rows == Array(repeating: patches, count: vision.plan.shape.layers))
    #expect(observer.sums(layer: 1, channel: 5) == 0 && observer.sums(layer: 3, channel: 7) == 0)
    #expect(observer.sums(layer: 0, channel: 5) > 0 && observer.sums(layer: 1, channel: 7) > 0)
    // In layers with windows nobody sees the register, and it changes nothing before the first layer that sees all.
    let plain = HiddenObserver()
    _ = try vision.encoder.encode(tile, request: EncoderRequest(), compute: compute, observer: plain)
    #expect(plain.values[0] == observer.values[0])
    #expect(plain.values[3] != observer.values[3])
  }
}

private final class HiddenObserver: EncoderObserver {
  private(set) var values: [[[Float]]] = []
  var rows: [Int] { values.map(\.count) }

  func sums(layer: Int, channel: Int) -> Float { values[layer].reduce(0) { $0 + abs($1[channel]) } }

  func hidden(layer: Int, _ found: MatrixView<Float>) {
    values.append((0..<found.rows).map { Array(UnsafeBufferPointer(start: found.row($0), count: found.columns)) })
  }

  func output(layer: Int, _ found: MatrixView<Float>) {}
}
