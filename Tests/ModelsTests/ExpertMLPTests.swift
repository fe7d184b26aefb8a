import OccamCore
import OccamGGUF
import OccamMatmul
import OccamModels
import OccamTestSupport
import Testing

/// Mixtures of experts against plain arithmetic in double precision.
@Suite struct ExpertMLPTests {
  fileprivate static let hidden = 36

  /// Weights of one layer, written out.
  private struct Layer {
    var shape: ExpertShape
    var router: [Float]
    var gate: [Float]
    var up: [Float]
    var down: [Float]
    var sharedGate: [Float]
    var shared: [[Float]]

    init(_ shape: ExpertShape, seed: UInt64 = 1) {
      var random = SeededGenerator(seed: seed)
      func noise(_ count: Int, _ scale: Float) -> [Float] { (0..<count).map { _ in random.normal() * scale } }
      let (hidden, inside) = (ExpertMLPTests.hidden, shape.feedForward)
      self.shape = shape
      router = noise(shape.count * hidden, 0.4)
      gate = noise(shape.count * inside * hidden, 0.3)
      up = noise(shape.count * inside * hidden, 0.2)
      down = noise(shape.count * hidden * inside, 0.2)
      sharedGate = noise(hidden, 0.2)
      shared = [
        noise(shape.shared * hidden, 0.3), noise(shape.shared * hidden, 0.3), noise(hidden * shape.shared, 0.2),
      ]
    }

    /// - Parameter isFused: gate and up in one tensor.
    func loaded(
      _ kernels: KernelSet, _ team: WorkerTeam, isFused: Bool = false, leavingOut left: String? = nil,
      isDry: Bool = false
    ) throws -> (network: ExpertMLP, bytes: Int) {
      let (hidden, inside) = (ExpertMLPTests.hidden, shape.feedForward)
      var tensors: [(String, [Int], [Float])] = [
        ("ffn_gate_inp", [hidden, shape.count], router), ("ffn_down_exps", [inside, hidden, shape.count], down),
      ]
      if isFused {
        let size = inside * hidden
        var both: [Float] = []
        for first in stride(from: 0, to: shape.count * size, by: size) {
          both += gate[first..<first + size]
          both += up[first..<first + size]
        }
        tensors.append(("ffn_gate_up_exps", [hidden, 2 * inside, shape.count], both))
      } else {
        tensors += [
          ("ffn_gate_exps", [hidden, inside, shape.count], gate), ("ffn_up_exps", [hidden, inside, shape.count], up),
        ]
      }
      if shape.shared > 0 {
        tensors += [
          ("ffn_gate_inp_shexp", [hidden], sharedGate), ("ffn_gate_shexp", [hidden, shape.shared], shared[0]),
          ("ffn_up_shexp", [hidden, shape.shared], shared[1]), ("ffn_down_shexp", [shape.shared, hidden], shared[2]),
        ]
      }
      var writer = GGUFWriter()
      for (name, dimensions, values) in tensors where name != left {
        let bytes = values.withUnsafeBytes { Array($0) }
        try writer.add(tensor: "blk.0.\(name).weight", dimensions: dimensions, type: .f32, data: bytes)
      }
      let file = try GGUFFile(bytes: try writer.serialized(), subject: "layer")
      let loader = WeightLoader(file: file, kernels: kernels, team: team, isDry: isDry)
      let network = try ExpertMLP(loader, "blk.0.", hidden: hidden, shape)
      return (network, loader.bytes)
    }

    /// The mixture of one row.
    func reference(_ n: ArraySlice<Float>) -> [Double] {
      let n = n.map(Double.init)
      let hidden = ExpertMLPTests.hidden
      func rows(_ weights: [Float], _ first: Int, _ rows: Int, _ x: [Double]) -> [Double] {
        (first..<first + rows).map { row in
          x.indices.reduce(0.0) { $0 + Double(weights[row * x.count + $1]) * x[$1] }
        }
      }
      func network(_ g: [Float], _ u: [Float], _ d: [Float], _ expert: Int, _ inside: Int) -> [Double] {
        let gates = rows(g, expert * inside, inside, n)
        let ups = rows(u, expert * inside, inside, n)
        return rows(d, expert * hidden, hidden, zip(gates, ups).map { $0 / (1 + ExpertMLPTests.exponential(-$0)) * $1 })
      }
      let scores = rows(router, 0, shape.count, n).map(ExpertMLPTests.exponential)
      let total = scores.reduce(0, +)
      let best = Array(scores.indices.sorted { (scores[$1], $0) < (scores[$0], $1) }.prefix(shape.used))
      let divisor = shape.normalizesWeights ? best.reduce(0) { $0 + scores[$1] } : total
      var sum = [Double](repeating: 0, count: hidden)
      for expert in best {
        let weight = scores[expert] / divisor * Double(shape.scale)
        for (i, value) in network(gate, up, down, expert, shape.feedForward).enumerated() { sum[i] += weight * value }
      }
      if shape.shared > 0 {
        let weight = 1 / (1 + ExpertMLPTests.exponential(-rows(sharedGate, 0, 1, n)[0]))
        for (i, value) in network(shared[0], shared[1], shared[2], 0, shape.shared).enumerated() {
          sum[i] += weight * value
        }
      }
      return sum
    }
  }

  /// e^x by its series, halving x first: no library's.
  fileprivate static func exponential(_ x: Double) -> Double {
    var (term, sum) = (1.0, 1.0)
    for k in 1...24 {
      term *= x / 1024 / Double(k)
      sum += term
    }
    for _ in 0..<10 { sum *= sum }
    return sum
  }

  private static func run(
    _ network: ExpertMLP, _ x: [Float], _ kernels: KernelSet, _ team: WorkerTeam, onto start: Float? = nil,
    compute: Compute? = nil
  ) -> [Float] {
    let compute = compute ?? Compute(kernels: kernels, team: team)
    let rows = x.count / hidden
    let input = AlignedBuffer(copying: x)
    let output = AlignedBuffer(copying: [Float](repeating: start ?? .nan, count: x.count))
    network.run(
      MatrixView(input, rows: rows, columns: hidden), into: MatrixView(output, rows: rows, columns: hidden),
      accumulate: start != nil, compute)
    return Array(output.buffer)
  }

  private static func input(_ rows: Int, seed: UInt64 = 9) -> [Float] {
    var random = SeededGenerator(seed: seed)
    return (0..<rows * hidden).map { _ in random.normal() }
  }

  private static func shapes() -> [ExpertShape] {
    var shapes: [ExpertShape] = []
    for (count, used, inside) in [(1, 1, 8), (5, 2, 20), (8, 8, 17), (40, 3, 16)] {
      for (shared, normalizes, scale) in [(0, true, Float(1)), (24, false, 2.5), (16, true, 1)] {
        var shape = ExpertShape(count: count, used: used, feedForward: inside)
        (shape.shared, shape.normalizesWeights, shape.scale) = (shared, normalizes, scale)
        shapes.append(shape)
      }
    }
    return shapes
  }

  @Test(arguments: KernelSet.available().map(\.name)) func mixturesAreThoseOfPlainArithmetic(set: String) throws {
    let kernels = try KernelSet.named(set)
    for (number, shape) in ExpertMLPTests.shapes().enumerated() {
      let layer = Layer(shape, seed: UInt64(number + 1))
      let team = WorkerTeam(threads: 1 + number % 3)
      let (network, _) = try layer.loaded(kernels, team)
      let x = ExpertMLPTests.input(23)
      let found = ExpertMLPTests.run(network, x, kernels, team)
      let added = ExpertMLPTests.run(network, x, kernels, team, onto: 1)
      for row in 0..<23 {
        let part = row * ExpertMLPTests.hidden..<(row + 1) * ExpertMLPTests.hidden
        let expected = layer.reference(x[part])
        let largest = expected.map(\.magnitude).max() ?? 0
        for (index, value) in zip(part, expected) {
          #expect((Double(found[index]) - value).magnitude <= 2e-5 * (1 + largest), "\(shape), row \(row)")
          #expect((Double(added[index]) - 1 - value).magnitude <= 2e-5 * (1 + largest), "\(shape), row \(row)")
        }
      }
    }
  }

  /// Any number of threads, a row alone or among others, gate and up in one tensor or in two: the same bits.
  @Test(arguments: KernelSet.available().map(\.name)) func bitsDependOnTheRowAlone(set: String) throws {
    let kernels = try KernelSet.named(set)
    var shape = ExpertShape(count: 12, used: 3, feedForward: 24)
    shape.shared = 20
    let layer = Layer(shape)
    let one = WorkerTeam(threads: 1)
    let (network, _) = try layer.loaded(kernels, one)
    let rows = 150
    let x = ExpertMLPTests.input(rows)
    let expected = ExpertMLPTests.run(network, x, kernels, one).map(\.bitPattern)
    let fused = try layer.loaded(kernels, one, isFused: true).network
    #expect(ExpertMLPTests.run(fused, x, kernels, one).map(\.bitPattern) == expected)
    let compute = Compute(kernels: kernels, team: one)
    for first in stride(from: 0, to: rows, by: 7) {
      for count in [1, 2, 4, 5] where first + count <= rows {
        let part = first * ExpertMLPTests.hidden..<(first + count) * ExpertMLPTests.hidden
        // The memory that larger passes left behind does not matter.
        let found = ExpertMLPTests.run(network, Array(x[part]), kernels, one, compute: compute)
        #expect(found.map(\.bitPattern) == Array(expected[part]), "rows \(first) + \(count)")
      }
    }
    for threads in 2...4 {
      let team = WorkerTeam(threads: threads)
      #expect(ExpertMLPTests.run(network, x, kernels, team).map(\.bitPattern) == expected, "\(threads) threads")
    }
  }

  /// All rows to one expert, equal probabilities, numbers that are none: no expert twice, no trap, other rows untouched.
  @Test func routersThatDecideNothing() throws {
    let kernels = try KernelSet.named(nil)
    let team = WorkerTeam(threads: 2)
    var layer = Layer(ExpertShape(count: 6, used: 2, feedForward: 16))
    let x = ExpertMLPTests.input(9)
    layer.router = [Float](repeating: 0, count: layer.router.count)
    let equal = ExpertMLPTests.run(try layer.loaded(kernels, team).network, x, kernels, team)
    for (row, expert) in [(0, 0), (8, 1)] {
      let part = row * ExpertMLPTests.hidden..<(row + 1) * ExpertMLPTests.hidden
      let expected = layer.reference(x[part])
      for (index, value) in zip(part, expected) {
        #expect((Double(equal[index]) - value).magnitude < 1e-4, "row \(row), \(expert)")
      }
    }
    layer = Layer(layer.shape)
    let clean = ExpertMLPTests.run(try layer.loaded(kernels, team).network, x, kernels, team)
    var spoilt = x
    spoilt[2 * ExpertMLPTests.hidden] = .nan
    spoilt[5 * ExpertMLPTests.hidden + 3] = .infinity
    let found = ExpertMLPTests.run(try layer.loaded(kernels, team).network, spoilt, kernels, team)
    for index in found.indices {
      let row = index / ExpertMLPTests.hidden
      #expect(row == 2 || row == 5 ? !found[index].isFinite : found[index].bitPattern == clean[index].bitPattern)
    }
  }

  @Test func bytesAreThoseOfTheExpertsTaken() throws {
    let kernels = try KernelSet.named(nil)
    let team = WorkerTeam(threads: 1)
    let layer = Layer(ExpertShape(count: 8, used: 3, feedForward: 32))
    let (network, bytes) = try layer.loaded(kernels, team)
    let whole = try layer.loaded(kernels, team, isFused: true)
    let dry = try layer.loaded(kernels, team, isDry: true)
    #expect(whole.bytes == bytes && dry.bytes == bytes && dry.network.unreadBytes == network.unreadBytes)
    // Panels hold 16 rows: 36 become 48. Four bytes a number.
    let expert = 4 * (2 * 32 * 36 + 48 * 32)
    #expect(network.unreadBytes == 5 * expert)
    #expect(bytes == 8 * expert + 4 * 16 * 36)
  }

  @Test func missingTensorsAreNamed() throws {
    var shape = ExpertShape(count: 4, used: 2, feedForward: 16)
    shape.shared = 16
    let layer = Layer(shape)
    let (kernels, team) = (try KernelSet.named(nil), WorkerTeam(threads: 1))
    for name in [
      "ffn_gate_inp", "ffn_gate_exps", "ffn_up_exps", "ffn_down_exps", "ffn_gate_inp_shexp", "ffn_gate_shexp",
      "ffn_up_shexp", "ffn_down_shexp",
    ] {
      for isDry in [false, true] {
        let error = #expect(throws: ModelError.self) {
          try layer.loaded(kernels, team, leavingOut: name, isDry: isDry)
        }
        #expect(error?.code == .missingTensor && error?.reason.contains("'blk.0.\(name).weight'") == true)
      }
    }
  }

  @Test func headersThatCannotBe() throws {
    func shape(_ values: [(String, GGUFValue)]) throws -> ExpertShape {
      var writer = GGUFWriter()
      var keys: [String: GGUFValue] = [
        "expert_count": .uint32(8), "expert_used_count": .uint32(2), "expert_feed_forward_length": .uint32(64),
      ]
      for (key, value) in values { keys[key] = value }
      for (key, value) in keys.sorted(by: { $0.key < $1.key }) { writer.set("m.\(key)", value) }
      return try ExpertShape(GGUFFile(bytes: try writer.serialized(), subject: "header"), prefix: "m")
    }
    #expect(try shape([]) == ExpertShape(count: 8, used: 2, feedForward: 64))
    #expect(try shape([("expert_gating_func", .uint32(1)), ("expert_group_count", .uint32(1))]).used == 2)
    let other = try shape([
      ("expert_weights_norm", .bool(false)), ("expert_weights_scale", .float32(2.5)),
      ("expert_shared_feed_forward_length", .uint32(40)),
    ])
    #expect(!other.normalizesWeights && other.scale == 2.5 && other.shared == 40)
    #expect(try shape([("expert_weights_scale", .float32(0))]).scale == 1)
    for (key, value) in [
      ("expert_count", GGUFValue.uint32(0)), ("expert_count", .uint32(4097)), ("expert_used_count", .uint32(0)),
      ("expert_used_count", .uint32(9)), ("expert_feed_forward_length", .uint32(0)),
      ("expert_feed_forward_length", .uint32((1 << 20) + 1)), ("expert_feed_forward_length", .string("x")),
      ("expert_shared_feed_forward_length", .uint32((1 << 20) + 1)), ("expert_weights_scale", .float32(.nan)),
      ("expert_gating_func", .uint32(2)), ("expert_gating_func", .int32(-1)), ("expert_group_count", .uint32(4)),
      ("expert_count", .int64(-3)), ("expert_count", .uint64(.max)),
    ] {
      let error = #expect(throws: (any Error).self) { try shape([(key, value)]) }
      #expect("\(error.map { "\($0)" } ?? "")".contains("m.\(key)"))
    }
  }
}
