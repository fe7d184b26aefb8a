import OccamKernelContract

/// How one step is cut for the team: each item is a run of panels times a run of tokens. The activations of the tokens
/// stay in the second-level cache while panel after panel passes them; items are small enough to share out evenly.
struct MatmulPlan {
  let tileTokens: Int
  let items: Int
  /// Items that one thread takes at a time: all of them where sharing them out would take longer than computing them.
  let grain: Int
  /// Bytes of packed weights an item takes.
  private let weightBytes: Int
  /// The first item of each product, and behind them the number of all.
  private let starts: UnsafePointer<Int>

  /// Of a chunk; a multiple of every set's tile.
  private static let mostTokens = 96
  private static let mostWeights = 256 << 10
  private static let leastWeights = 16 << 10
  /// Bytes of weights times tokens, read or multiplied in about as long as another thread takes to begin and to report.
  private static let worthSharing = 256 << 10

  /// - Parameter starts: room for one number a product and one more; the plan's as long as it is in use.
  init(
    _ products: UnsafeBufferPointer<MatmulProduct>, tileTokens: Int, threads: Int, starts: UnsafeMutablePointer<Int>
  ) {
    self.tileTokens = tileTokens
    self.starts = UnsafePointer(starts)
    var (read, work) = (0, 0)
    for product in products {
      let bytes = product.weights.panels * product.weights.panelBytes
      read += bytes * MatmulPlan.chunks(product.y.rows, tileTokens).count
      work += bytes * product.y.rows
    }
    // About eight items a thread: the last one to finish keeps the others waiting for a few percent at most.
    let wanted = threads == 1 ? 1 : threads * 8
    let weightBytes = max(MatmulPlan.leastWeights, min(MatmulPlan.mostWeights, read / wanted))
    self.weightBytes = weightBytes
    var items = 0
    for (number, product) in products.enumerated() {
      starts[number] = items
      items += MatmulPlan.runs(product, weightBytes).count * MatmulPlan.chunks(product.y.rows, tileTokens).count
    }
    starts[products.count] = items
    self.items = items
    grain = work < MatmulPlan.worthSharing ? max(items, 1) : 1
  }

  private static func runs(_ product: MatmulProduct, _ weightBytes: Int) -> (panels: Int, count: Int) {
    let panels = max(1, weightBytes / product.weights.panelBytes)
    return (panels, (product.weights.panels - 1) / panels + 1)
  }

  /// Tokens of an item, whole groups of activations, and how many such there are.
  private static func chunks(_ tokens: Int, _ tileTokens: Int) -> (tokens: Int, count: Int) {
    guard tokens > 0 else { return (1, 0) }
    // Even shares: a last chunk of one token would pass all weights once more for little.
    let step = tileTokens < mostTokens ? tileTokens : ActivationLayout.tokens
    let share = (tokens - 1) / ((tokens - 1) / mostTokens + 1) + 1
    let chunk = (share - 1) / step * step + step
    return (chunk, (tokens - 1) / chunk + 1)
  }

  /// Item `index` of 0..<items. All token chunks of a run of panels follow each other.
  func part(_ index: Int, _ products: UnsafeBufferPointer<MatmulProduct>) -> MatmulPart {
    precondition(index >= 0 && index < items, "MatmulPlan: item out of range")
    // The product with starts[low] <= index < starts[high].
    var (low, high) = (0, products.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if starts[middle] <= index { low = middle } else { high = middle }
    }
    let product = products[low]
    let runs = MatmulPlan.runs(product, weightBytes)
    let tokens = product.y.rows
    let chunks = MatmulPlan.chunks(tokens, tileTokens)
    let (run, chunk) = ((index - starts[low]) / chunks.count, (index - starts[low]) % chunks.count)
    return MatmulPart(
      product: low, panels: run * runs.panels..<min((run + 1) * runs.panels, product.weights.panels),
      tokens: chunk * chunks.tokens..<min((chunk + 1) * chunks.tokens, tokens), tileTokens: tileTokens)
  }
}

/// One item: `panels` times `tokens` of one product.
struct MatmulPart {
  let product: Int
  let panels: Range<Int>
  let tokens: Range<Int>
  let tileTokens: Int

  /// - Parameters:
  ///   - activations: the first group of the product's first token; this part starts on a whole group.
  ///   - out: room for one tile, 64-byte aligned.
  func run(
    _ product: MatmulProduct, _ kernels: MatmulKernels, _ activations: UnsafeRawPointer, groupStride: Int,
    out: UnsafeMutablePointer<Float>
  ) {
    let weights = product.weights
    let tile = kernels.tile(weights.format, isLimited: weights.isLimited)
    for panel in panels {
      var first = tokens.lowerBound
      while first < tokens.upperBound {
        let count = min(tileTokens, tokens.upperBound - first)
        let group = activations + first / ActivationLayout.tokens * groupStride
        tile(
          TileArguments(
            panel: weights.panel(panel), x: group, groupStride: groupStride, tokens: count,
            columns: weights.paddedColumns, out: out))
        store(out, product, panel: panel, token: first, count: count)
        first += count
      }
    }
  }

  /// Moves a finished tile to y, with bias, activation and sum; bias and sum in baseline code, so that these bits do not
  /// depend on the kernel.
  private func store(_ out: UnsafeMutablePointer<Float>, _ product: MatmulProduct, panel: Int, token: Int, count: Int) {
    let row = panel * PanelLayout.rows
    let rows = min(PanelLayout.rows, product.weights.rows - row)
    if let bias = product.bias { addBias(bias + row, rows, out, count) }
    product.activation?(out, count * PanelLayout.rows)
    for i in 0..<count {
      let source = UnsafePointer(out + i * PanelLayout.rows)
      let target = product.y.row(token + i) + row
      guard rows == PanelLayout.rows else {
        for r in 0..<rows {
          target[r] = product.accumulate ? target[r] + source[r] : source[r]
        }
        continue
      }
      var value = UnsafeRawPointer(source).load(as: SIMD16<Float>.self)
      let place = UnsafeMutableRawPointer(target)
      if product.accumulate { value = place.loadUnaligned(as: SIMD16<Float>.self) + value }
      place.storeBytes(of: value, as: SIMD16<Float>.self)
    }
  }

  private func addBias(_ bias: UnsafePointer<Float>, _ rows: Int, _ out: UnsafeMutablePointer<Float>, _ count: Int) {
    var sixteen = SIMD16<Float>(repeating: 0)
    for r in 0..<rows { sixteen[r] = bias[r] }
    for i in 0..<count {
      let place = UnsafeMutableRawPointer(out + i * PanelLayout.rows)
      place.storeBytes(of: place.load(as: SIMD16<Float>.self) + sixteen, as: SIMD16<Float>.self)
    }
  }
}
