import OccamCore
import OccamKernelContract
import OccamQuantFormats

/// One product of a step: y (+)= f(x * weights^T (+ bias)).
package struct MatmulProduct {
  package let weights: PackedMatrix
  /// [rows x weights.rows].
  package let y: MatrixView<Float>
  /// Of the rows of x those that are multiplied, from a multiple of four on; nil: all.
  package let rows: Range<Int>?
  /// weights.rows floats that outlive the call.
  package let bias: UnsafePointer<Float>?
  /// Adds to y instead of overwriting it.
  package let accumulate: Bool
  /// f, on any number of floats in place, while a tile is in the nearest cache; nil: none.
  package let activation: Activation?

  package typealias Activation = @Sendable (UnsafeMutablePointer<Float>, Int) -> Void

  package init(
    _ weights: PackedMatrix, into y: MatrixView<Float>, rows: Range<Int>? = nil, bias: UnsafePointer<Float>? = nil,
    accumulate: Bool = false, activation: Activation? = nil
  ) {
    self.rows = rows
    self.weights = weights
    self.y = y
    self.bias = bias
    self.accumulate = accumulate
    self.activation = activation
  }
}

/// Multiplies activations with packed matrices: `load` once, then every matrix that shares the input.
///
/// One context belongs to one session. Its scratch memory grows with the largest input and is then reused. Results
/// depend on the kernel set only: not on the number of threads, and a token's row not on the tokens beside it.
package final class MatmulContext {
  private let kernels: KernelSet
  private let team: WorkerTeam
  private var x: MatrixView<Float>?
  private var forms = InputForms()
  private var packed = ActivationKind.allCases.map { _ in false }
  /// One tile for each worker, and the kernels' scratch memory behind it.
  private let tiles: AlignedBuffer<Float>
  /// Of a step's products the first item each (`MatmulPlan`).
  private var starts = AlignedBuffer<Int>(count: 16)

  package init(kernels: KernelSet, team: WorkerTeam) {
    self.kernels = kernels
    self.team = team
    tiles = AlignedBuffer(count: team.threads * kernels.matmul.tileFloats)
  }

  /// What is allocated, bytes.
  package var byteCount: Int { tiles.byteCount + forms.byteCount + starts.byteCount }

  /// Takes x [tokens x columns] as the input of the following products. x is read at the first of them that needs
  /// it in a new form, and must stay as it is until the next `load`.
  package func load(_ x: MatrixView<Float>) {
    self.x = x
    for kind in ActivationKind.allCases { packed[kind.rawValue] = false }
  }

  /// y [tokens x w.rows] (+)= f(x [tokens x columns] * w^T (+ bias [w.rows])). y must not overlap x.
  package func multiply(
    by w: PackedMatrix, into y: MatrixView<Float>, bias: UnsafePointer<Float>? = nil, accumulate: Bool = false,
    activation: MatmulProduct.Activation? = nil
  ) {
    let product = MatmulProduct(w, into: y, bias: bias, accumulate: accumulate, activation: activation)
    withUnsafePointer(to: product) { multiply(UnsafeBufferPointer(start: $0, count: 1)) }
  }

  /// Several products of the same x in one parallel step (query, key and value; gate and up).
  package func multiply<let count: Int>(_ products: InlineArray<count, MatmulProduct>) {
    products.span.withUnsafeBufferPointer { multiply($0) }
  }

  /// Any number of products in one parallel step, each of rows of its own (`MatmulProduct.rows`): experts. Named, so that a
  /// list written out is an `InlineArray` and allocates nothing.
  package func multiply(each products: ContiguousArray<MatmulProduct>) {
    products.withUnsafeBufferPointer { multiply($0) }
  }

  private func multiply(_ products: UnsafeBufferPointer<MatmulProduct>) {
    guard let x else { preconditionFailure("MatmulContext: multiply before load") }
    for product in products {
      precondition(product.weights.columns == x.columns, "MatmulContext: columns of x and weights differ")
      let rows = product.rows ?? 0..<x.rows
      precondition(
        rows.lowerBound >= 0 && rows.lowerBound % ActivationLayout.tokens == 0 && rows.upperBound <= x.rows,
        "MatmulContext: rows out of range, or not from a multiple of four on")
      precondition(product.y.rows == rows.count, "MatmulContext: rows of x and y differ")
      precondition(product.y.columns == product.weights.rows, "MatmulContext: columns of y and rows of weights differ")
    }
    guard x.rows > 0 else { return }
    for product in products { prepare(product.weights.activations, x) }
    if starts.count <= products.count { starts = AlignedBuffer(count: 2 * products.count) }
    let plan = MatmulPlan(
      products, tileTokens: kernels.matmul.tileTokens, threads: team.threads, starts: starts.pointer)
    team.parallel(
      plan.items, grain: plan.grain,
      MultiplyStep(plan: plan, products: products, kernels: kernels.matmul, forms: forms, tiles: tiles.pointer))
  }

  /// Item by item one part of the plan.
  private struct MultiplyStep: TeamStep {
    let plan: MatmulPlan
    let products: UnsafeBufferPointer<MatmulProduct>
    let kernels: MatmulKernels
    let forms: InputForms
    let tiles: UnsafeMutablePointer<Float>

    func run(_ range: Range<Int>, worker: Int) {
      let tile = tiles + worker * kernels.tileFloats
      for item in range {
        let part = plan.part(item, products)
        let product = products[part.product]
        let kind = product.weights.activations
        guard let input = forms[kind],
          let stride = ActivationLayout.groupBytes(kind, columns: product.weights.columns)
        else { continue }
        let first = (product.rows?.lowerBound ?? 0) / ActivationLayout.tokens
        part.run(product, kernels, UnsafeRawPointer(input.pointer) + first * stride, groupStride: stride, out: tile)
      }
    }
  }

  /// Brings x into the form that weights of `kind` multiply with, once after each `load`.
  private func prepare(_ kind: ActivationKind, _ x: MatrixView<Float>) {
    guard !packed[kind.rawValue] else { return }
    packed[kind.rawValue] = true
    let groups = (x.rows - 1) / ActivationLayout.tokens + 1
    guard let stride = ActivationLayout.groupBytes(kind, columns: x.columns),
      case let (bytes, false) = stride.multipliedReportingOverflow(by: groups)
    else { preconditionFailure("MatmulContext: x is too large") }
    let buffer: AlignedBuffer<UInt8>
    if let held = forms[kind], held.count >= bytes {
      buffer = held
    } else {
      buffer = AlignedBuffer(count: bytes)
      forms[kind] = buffer
    }
    let pack = kernels.matmul.pack(kind)
    // A waking helper costs more than quantizing a few thousand numbers.
    let grain = max(1, 16_384 / max(1, x.columns * ActivationLayout.tokens))
    team.parallel(
      groups, grain: grain,
      PackStep(
        x: x, pack: pack, record: ActivationLayout.record(kind), target: UnsafeMutableRawPointer(buffer.pointer),
        groupStride: stride))
  }

  /// Item by item one group of tokens.
  private struct PackStep: TeamStep {
    let x: MatrixView<Float>
    let pack: MatmulKernels.Pack
    /// What is packed at a time; nil: any number of columns.
    let record: (columns: Int, bytes: Int)?
    let target: UnsafeMutableRawPointer
    let groupStride: Int

    func run(_ range: Range<Int>, worker: Int) {
      let whole = record.map { x.columns / $0.columns * $0.columns } ?? x.columns
      for group in range {
        let first = group * ActivationLayout.tokens
        let tokens = min(ActivationLayout.tokens, x.rows - first)
        let place = target + group * groupStride
        pack(x.row(first), x.stride, tokens, whole, place)
        guard whole < x.columns, let record else { continue }
        let last = place + whole / record.columns * record.bytes * ActivationLayout.tokens
        for token in 0..<tokens { packRest(first + token, from: whole, record.columns, last + token * record.bytes) }
      }
    }

    /// What a row has behind its whole blocks, and zeros up to the next one.
    private func packRest(_ row: Int, from whole: Int, _ columns: Int, _ place: UnsafeMutableRawPointer) {
      withUnsafeTemporaryAllocation(of: Float.self, capacity: columns) { block in
        block.initialize(repeating: 0)
        guard let base = block.baseAddress else { return }
        base.update(from: x.row(row) + whole, count: x.columns - whole)
        pack(base, columns, 1, columns, place)
      }
    }
  }
}

/// The input in the forms that the formats of weights multiply with, as far as they were needed.
private struct InputForms {
  private var buffers: [AlignedBuffer<UInt8>?] = ActivationKind.allCases.map { _ in nil }

  subscript(kind: ActivationKind) -> AlignedBuffer<UInt8>? {
    get { buffers[kind.rawValue] }
    set { buffers[kind.rawValue] = newValue }
  }

  var byteCount: Int { buffers.reduce(0) { $0 + ($1?.byteCount ?? 0) } }
}

extension MatmulKernels {
  /// Floats of a tile and the scratch memory behind it.
  fileprivate var tileFloats: Int { tileTokens * PanelLayout.rows + scratchBytes / 4 }
}
