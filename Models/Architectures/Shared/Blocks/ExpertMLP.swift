import OccamCore
import OccamMatmul
import OccamTensors

/// A feed-forward network that is a mixture of experts: a router chooses some for each token, and only their weights are
/// read. With p = softmax(Wrouter n) and the experts E of largest p,
///
///     sum over e in E of p[e] (/ sum of p over E) (* scale) * Wdown[e](silu(Wgate[e] n) * Wup[e] n)
///     (+ sigmoid(wshared n) * MLPshared(n))
///
/// Reference: Hugging Face transformers, modeling_qwen3_moe.py and modeling_qwen2_moe.py (shared expert); llama.cpp,
/// src/llama-graph.cpp, build_moe_ffn. Bits depend neither on the number of threads nor on the tokens beside one.
package struct ExpertMLP: Sendable {
  package let shape: ExpertShape
  private let router: PackedMatrix  // [experts x hidden]
  private let gate: [PackedMatrix]  // of each expert [feedForward x hidden]
  private let up: [PackedMatrix]  // of each expert [feedForward x hidden]
  private let down: [PackedMatrix]  // of each expert [hidden x feedForward]
  private let shared: SharedExpert?

  /// The expert that every token takes.
  private struct SharedExpert: Sendable {
    let gate: PackedMatrix  // [1 x hidden]
    let network: GatedMLP
  }

  /// Rows a pass takes at once: more than of one network for all, so that an expert's weights meet enough of them.
  package static let rowsPerStep = 512

  /// - Parameter prefix: of the layer's tensors, "blk.0.". Gate and up of all experts may be one tensor, gate first.
  package init(_ loader: WeightLoader, _ prefix: String, hidden: Int, _ shape: ExpertShape) throws {
    self.shape = shape
    router = try loader.matrix(prefix + "ffn_gate_inp.weight", rows: shape.count, columns: hidden)
    func experts(_ name: String, _ rows: Int..., columns: Int) throws -> [[PackedMatrix]] {
      try loader.experts(prefix + name + ".weight", count: shape.count, rows: rows, columns: columns)
    }
    if loader.has(prefix + "ffn_gate_up_exps.weight") {
      let both = try experts("ffn_gate_up_exps", shape.feedForward, shape.feedForward, columns: hidden)
      (gate, up) = (both[0], both[1])
    } else {
      gate = try experts("ffn_gate_exps", shape.feedForward, columns: hidden)[0]
      up = try experts("ffn_up_exps", shape.feedForward, columns: hidden)[0]
    }
    down = try experts("ffn_down_exps", hidden, columns: shape.feedForward)[0]
    shared =
      shape.shared == 0
      ? nil
      : SharedExpert(
        gate: try loader.matrix(prefix + "ffn_gate_inp_shexp.weight", rows: 1, columns: hidden),
        network: try GatedMLP(
          loader, prefix, hidden: hidden, feedForward: shape.shared, gate: .silu, suffix: "_shexp"))
  }

  /// Bytes of the experts that a token does not take.
  package var unreadBytes: Int { (shape.count - shape.used) * expertBytes }

  private var expertBytes: Int { gate[0].byteCount + up[0].byteCount + down[0].byteCount }

  /// target (+)= the mixture of n.
  /// - Parameters: normed: n, [rows x hidden]; target: of the same shape.
  package func run(
    _ normed: MatrixView<Float>, into target: MatrixView<Float>, accumulate: Bool, _ compute: Compute
  ) {
    guard normed.rows > 0 else { return }
    let routing = compute.routing
    // Behind the router's scores the shared expert's.
    let scores = compute.view(.router, rows: normed.rows, columns: shape.count + 1)
    timed("text.router", products(normed.rows, router)) {
      let probabilities = scores.slice(columns: 0..<shape.count)
      compute.matmul.load(normed)
      if let shared {
        compute.matmul.multiply([
          MatmulProduct(router, into: probabilities),
          MatmulProduct(shared.gate, into: scores.slice(columns: shape.count..<shape.count + 1)),
        ])
      } else {
        compute.matmul.multiply(by: router, into: probabilities)
      }
      compute.tensors.softmaxRows(probabilities)
      routing.choose(probabilities, shape)
    }
    let mixed = mixtures(normed, routing, compute)
    timed("text.mixing") {
      compute.tensors.addWeighted(
        mixed, places: routing.places, weights: routing.weights, each: shape.used, into: target, accumulate: accumulate)
    }
    guard let shared else { return }
    let own = compute.view(.gathered, rows: normed.rows, columns: target.columns)
    shared.network.run(normed, into: own, accumulate: false, compute)
    timed("text.mixing") {
      compute.tensors.add(own, gatedBy: scores.slice(columns: shape.count..<shape.count + 1), into: target)
    }
  }

  /// Floats that a thread should get at least.
  private static let floatsPerShare = 8192

  /// Wdown(silu(Wgate n) * Wup n) of each token and expert, [slots x hidden]: an expert's rows together, from a multiple of
  /// four on.
  private func mixtures(
    _ normed: MatrixView<Float>, _ routing: ExpertRouting, _ compute: Compute
  ) -> MatrixView<Float> {
    let isOne = normed.rows == 1
    let g = compute.view(.gate, rows: routing.slots, columns: shape.feedForward)
    let u = compute.view(.up, rows: routing.slots, columns: shape.feedForward)
    let y = compute.view(.experts, rows: routing.slots, columns: normed.columns)
    var x = normed
    if !isOne {
      x = compute.view(.gathered, rows: routing.slots, columns: normed.columns)
      timed("text.gathering") {
        compute.team.parallel(
          normed.rows, grain: max(1, ExpertMLP.floatsPerShare / (normed.columns * shape.used)),
          CopyRows(x: normed, places: routing.places, each: shape.used, target: x))
      }
    }
    timed("text.gate+up", work(routing, gate[0], up[0])) {
      routing.products.removeAll(keepingCapacity: true)
      routing.eachExpert { expert, rows in
        // A single token is the input of all its experts.
        let taken = isOne ? 0..<1 : rows
        routing.products.append(MatmulProduct(gate[expert], into: g.slice(rows: rows), rows: taken))
        routing.products.append(MatmulProduct(up[expert], into: u.slice(rows: rows), rows: taken))
      }
      compute.matmul.load(x)
      compute.matmul.multiply(each: routing.products)
    }
    timed("text.gating") {
      // A single token has one row of every four.
      func used(_ h: MatrixView<Float>) -> MatrixView<Float> {
        isOne ? MatrixView(h.pointer, rows: shape.used, columns: h.columns, stride: 4 * h.stride) : h
      }
      compute.tensors.siluMultiply(gate: used(g), up: used(u))
    }
    timed("text.down", work(routing, down[0])) {
      routing.products.removeAll(keepingCapacity: true)
      routing.eachExpert { expert, rows in
        routing.products.append(MatmulProduct(down[expert], into: y.slice(rows: rows), rows: rows))
      }
      compute.matmul.load(g)
      compute.matmul.multiply(each: routing.products)
    }
    return y
  }

  private func work(_ routing: ExpertRouting, _ matrices: PackedMatrix...) -> MeasuredWork {
    var work = MeasuredWork()
    for matrix in matrices {
      work.operations += 2 * Double(routing.assignments) * Double(matrix.rows) * Double(matrix.columns)
      work.bytes += Double(routing.expertsTaken) * Double(matrix.byteCount)
    }
    return work
  }
}

/// Row by row of x: copies to its places.
private struct CopyRows: TeamStep {
  let x: MatrixView<Float>
  let places: UnsafePointer<Int>
  /// Places of a row.
  let each: Int
  let target: MatrixView<Float>

  func run(_ range: Range<Int>, worker: Int) {
    for index in range.lowerBound * each..<range.upperBound * each {
      target.row(places[index]).update(from: x.row(index / each), count: x.columns)
    }
  }
}
