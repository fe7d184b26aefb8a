import Occam
import OccamCore
import OccamGGUF
import OccamImages
import OccamMatmul
import OccamModels
import OccamPruning
import OccamTensors
import OccamTestSupport
import Testing

/// What is Qwen3-VL's own: planes of inner layers, positions stretched to the picture, scores of all patches.
@Suite struct Qwen3VLTests {
  private static func vision(_ path: String) throws -> (vision: VisionModel, compute: Compute) {
    let team = WorkerTeam(threads: 2)
    let kernels = try KernelSet.named(nil)
    let loader = WeightLoader(file: try GGUFFile(path: path), kernels: kernels, team: team)
    return (try ModelRegistry.vision(loader), Compute(kernels: kernels, team: team))
  }

  private static func projector(_ fixture: String, _ type: String = "F32") throws -> String {
    try #require(try Fixture.makeFiles(fixture, type).projector)
  }

  private static func prepared(_ vision: VisionModel, _ picture: String) throws -> PreparedPicture {
    let drawn = try #require(DrawnPicture(name: picture))
    return vision.plan.processor.prepare(Image(width: drawn.width, height: drawn.height, pixels: drawn.pixels))
  }

  private static func encode(
    _ vision: VisionModel, _ picture: String, _ request: EncoderRequest, _ compute: Compute
  ) throws -> EncodedTile {
    let prepared = try prepared(vision, picture)
    return try vision.encode(
      prepared.tile(0), window: prepared.layout.tiles[0], request: request, compute: compute)
  }

  private static func project(
    _ tile: EncodedTile, _ buffer: AlignedBuffer<Float>, _ projector: any Projector, _ compute: Compute
  ) -> [[Float]] {
    let rows = tile.view(buffer)
    let target = AlignedBuffer<Float>(count: rows.rows * projector.outputs)
    let view = MatrixView(target, rows: rows.rows, columns: projector.outputs)
    projector.project(rows, into: view, compute: compute)
    return (0..<view.rows).map { Array(UnsafeBufferPointer(start: view.row($0), count: view.columns)) }
  }

  /// Every plane behind its own merger, as llama.cpp and transformers compute it.
  @Test(
    arguments: try FamilyGoldens.load("qwen3vl").cases.filter {
      $0.pictures.count == 1 && $0.pictures[0].first?.isNumber == true
    })
  func planesAgree(golden: FamilyGolden) throws {
    let (vision, compute) = try Qwen3VLTests.vision(try #require(try golden.files().projector))
    let expected = ["qwen3vl-a": 3, "qwen3vl-b": 1, "qwen3vl-c": 0, "qwen3vlmoe-a": 2][golden.model]
    #expect(vision.planeProjectors.count == expected)
    #expect(golden.planes.isEmpty == (expected == 0))
    let tile = try Qwen3VLTests.encode(vision, golden.pictures[0], EncoderRequest(), compute)
    #expect(tile.planes.count == expected && tile.tokens == golden.imageTokens)
    let planes = zip(tile.planes, vision.planeProjectors).map { Qwen3VLTests.project(tile, $0, $1, compute) }
    let bound = golden.isFloat ? 0.02 : max(4 * (golden.embeddingsFromDequantized ?? 0), 0.02)
    for (index, stacked) in golden.planes {
      let width = stacked.count / planes.count
      for (number, plane) in planes.enumerated() {
        let part = Array(stacked[number * width..<(number + 1) * width])
        #expect(error(of: plane[index], from: part) <= bound, "row \(index), plane \(number)")
        if golden.isFloat { #expect(cosine(plane[index], part) >= 0.9999, "row \(index), plane \(number)") }
      }
    }
  }

  /// Stage I's scores are transformers' attention weights of the last layer; patches row by row.
  @Test(arguments: ["qwen3vl-a", "qwen3vl-b", "qwen3vl-c", "qwen3vlmoe-a"])
  func scoresAreTheReferences(fixture: String) throws {
    let golden = try NumPyArray(path: "\(Locations.goldens)/qwen3vl/data/\(fixture).scores.npy")
    let (vision, compute) = try Qwen3VLTests.vision(Qwen3VLTests.projector(fixture))
    let tile = try Qwen3VLTests.prepared(vision, "300x90-2").tile(0)
    let encoded = try vision.encoder.encode(
      tile, request: EncoderRequest(wantsScores: true), compute: compute, observer: nil)
    let scores = try #require(encoded.scores)
    #expect(scores.count == golden.values.count && encoded.patches == scores.count)
    #expect(abs(scores.reduce(0, +) - 1) < 1e-4)
    #expect(error(of: scores, from: golden.values) < 2e-3)
    #expect(golden.shape[0] * golden.shape[1] == scores.count && golden.shape[0] != golden.shape[1])
    // Lengths of keys instead: one a patch, and other numbers.
    let lengths = try vision.encoder.encode(
      tile, request: EncoderRequest(wantsScores: true, score: .keyNorm), compute: compute, observer: nil)
    #expect(lengths.scores?.count == scores.count && lengths.scores?.allSatisfy { $0 > 0 } == true)
    #expect(lengths.scores != encoded.scores)
  }

  /// Corner on corner, whatever the picture's grid; a table of the picture's size is taken as it is.
  @Test func positionsAreStretched() {
    let same = InterpolatedPositions.taps(5, side: 5)
    #expect(same.map(\.first) == [0, 1, 2, 3, 4] && same.allSatisfy { $0.share == 0 })
    let wide = InterpolatedPositions.taps(9, side: 5)
    #expect(wide.map { Float($0.first) + $0.share } == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4])
    let narrow = InterpolatedPositions.taps(3, side: 6)
    #expect(narrow.map { Float($0.first) + $0.share } == [0, 2.5, 5])
    #expect(InterpolatedPositions.taps(1, side: 6).map(\.first) == [0])
    #expect(InterpolatedPositions.taps(4, side: 1).allSatisfy { $0.first == 0 && $0.second == 0 })
    for count in 1...300 {
      #expect(InterpolatedPositions.taps(count, side: 48).allSatisfy { (0..<48).contains($0.first) && $0.second < 48 })
    }
  }

  /// Register neurons, observers and planes: a row more in all of them, and nothing without a register.
  @Test func registersJoinThePlanes() throws {
    let (vision, compute) = try Qwen3VLTests.vision(Qwen3VLTests.projector("qwen3vl-a"))
    let tile = try Qwen3VLTests.prepared(vision, "160x128-1").tile(0)
    let plan = RegisterPlan([.init(layer: 0, channel: 5), .init(layer: 2, channel: 7)])
    let (watched, plain) = (PatchObserver(), PatchObserver())
    let encoded = try vision.encoder.encode(
      tile, request: EncoderRequest(wantsScores: true, register: plan), compute: compute, observer: watched)
    let patches = encoded.patches
    #expect(patches == 80 && encoded.hasRegister && encoded.scores?.count == patches + 1)
    #expect(encoded.planes.count == 3)
    #expect(([encoded.features] + encoded.planes).allSatisfy { $0.count == (patches + 1) * encoded.hidden })
    #expect(watched.hidden.count == 4 && watched.outputs == [patches, patches, patches, patches])
    #expect(watched.sum(layer: 0, channel: 5) == 0 && watched.sum(layer: 2, channel: 7) == 0)
    #expect(watched.sum(layer: 0, channel: 7) > 0 && watched.sum(layer: 1, channel: 5) > 0)
    let without = try vision.encoder.encode(tile, request: EncoderRequest(), compute: compute, observer: plain)
    #expect(!without.hasRegister && without.scores == nil && plain.sum(layer: 0, channel: 5) > 0)
    #expect(without.planes.allSatisfy { $0.count == patches * encoded.hidden })
    // A plane is the output of its layer: another one than the features, and than the other planes.
    let first = (without.planes + [without.features]).map { $0.pointer[0] }
    #expect(Set(first).count == 4)
  }

  /// Without marks the mergers tell which layers become planes.
  @Test func marksMayBeMissing() throws {
    var edited = try EditedModel(Qwen3VLTests.projector("qwen3vl-a", "F16"))
    edited.set("clip.vision.is_deepstack_layers", nil)
    let (vision, compute) = try Qwen3VLTests.vision(edited.write())
    let (marked, _) = try Qwen3VLTests.vision(Qwen3VLTests.projector("qwen3vl-a", "F16"))
    let found = try Qwen3VLTests.encode(vision, "160x128-1", EncoderRequest(), compute)
    let expected = try Qwen3VLTests.encode(marked, "160x128-1", EncoderRequest(), compute)
    #expect(vision.planeProjectors.count == 3)
    #expect(zip(found.planes, expected.planes).allSatisfy { Array($0.buffer) == Array($1.buffer) })
  }

  /// A text model and an encoder with other numbers of planes are no pair.
  @Test func planesMustMatch() throws {
    let files = try Fixture.makeFiles("qwen3vl-a", "F16")
    for planes in [0, 2, 4] as [UInt32] {
      var text = try EditedModel(files.text)
      text.set("qwen3vl.n_deepstack_layers", .uint32(planes))
      let path = try text.write()
      let error = #expect(throws: OccamError.self) {
        try VisionLanguageModel(path: path, projector: files.projector, options: ModelOptions(threads: 1))
      }
      #expect(error?.code == .mismatch && error?.message.contains("3") == true, "\(error?.description ?? "")")
    }
  }
}

private final class PatchObserver: EncoderObserver {
  private(set) var hidden: [[[Float]]] = []
  private(set) var outputs: [Int] = []

  func sum(layer: Int, channel: Int) -> Float { hidden[layer].reduce(0) { $0 + abs($1[channel]) } }

  func hidden(layer: Int, _ values: MatrixView<Float>) {
    hidden.append((0..<values.rows).map { Array(UnsafeBufferPointer(start: values.row($0), count: values.columns)) })
  }

  func output(layer: Int, _ values: MatrixView<Float>) { outputs.append(values.rows) }
}
