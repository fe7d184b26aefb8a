import OccamCore
import OccamMatmul
import OccamQuantFormats
import Testing

/// Every kernel set this machine has against a plain product in double precision.
struct MatmulTests {
  static let cases: [(set: String, format: QuantFormat)] = KernelSet.available().flatMap { set in
    QuantFormat.allCases.map { (set.name, $0) }
  }

  /// The reference multiplies decoded weights with the activations as the kernels round them, so that what remains is
  /// the rounding of one float sum: at most one epsilon of the magnitudes for each addition.
  @Test(arguments: cases)
  func equalsDoublePrecision(_ set: String, _ format: QuantFormat) throws {
    let kernels = try KernelSet.named(set)
    let team = WorkerTeam(threads: 2)
    let block = format.blockSize
    let widths = block == 1 ? [1, 7, 64, 333] : [block, 3 * block, 8 * block]
    for (rows, tokens) in [(1, 1), (7, 2), (16, 3), (33, 5), (40, 17), (16, 30), (3, 4), (17, 11), (64, 8)] {
      for columns in widths {
        let source = SourceMatrix(format, rows: rows, columns: columns, seed: UInt64(rows + columns))
        let x = randomActivations(tokens: tokens, columns: columns, seed: UInt64(tokens))
        let y = product(try source.packed(kernels, team), x, tokens: tokens, kernels, team)
        let (w, rounded) = (source.decoded(), roundedActivations(x, block: block))
        for token in 0..<tokens {
          for row in 0..<rows {
            let (sum, magnitude) = reference(w, row: row, rounded, token: token, columns: columns)
            let tolerance = Double(columns / block + 8) * Double(Float.ulpOfOne) * magnitude
            let found = Double(y[token * rows + row])
            #expect(
              (found - sum).magnitude <= tolerance,
              "\(set) \(format.name) \(rows) x \(columns), token \(token) of \(tokens), row \(row): \(found), not \(sum)"
            )
          }
        }
      }
    }
  }

  /// The same bits for any number of threads, and for a token alone or among others.
  @Test(arguments: cases)
  func bitsDependOnNeitherThreadsNorNeighbours(_ set: String, _ format: QuantFormat) throws {
    let kernels = try KernelSet.named(set)
    let (rows, columns, tokens) = (200, 2 * max(format.blockSize, 128), 45)
    let source = SourceMatrix(format, rows: rows, columns: columns, seed: 7)
    let x = randomActivations(tokens: tokens, columns: columns, seed: 8)
    let one = WorkerTeam(threads: 1)
    let weights = try source.packed(kernels, one)
    let expected = product(weights, x, tokens: tokens, kernels, one).map(\.bitPattern)
    for threads in 2...3 {
      let team = WorkerTeam(threads: threads)
      let again = product(try source.packed(kernels, team), x, tokens: tokens, kernels, team)
      #expect(again.map(\.bitPattern) == expected, "\(threads) threads")
    }
    for (first, count) in [(0, 1), (44, 1), (7, 1), (3, 2), (10, 3), (20, 4), (1, 5), (9, 9), (2, 13), (5, 23)] {
      let part = Array(x[first * columns..<(first + count) * columns])
      let y = product(weights, part, tokens: count, kernels, one).map(\.bitPattern)
      #expect(y == Array(expected[first * rows..<(first + count) * rows]), "tokens \(first) + \(count)")
    }
  }

  /// A block with an infinity or a NaN spoils its own token only, and nothing traps.
  @Test(arguments: cases)
  func nonFiniteActivationsStayInTheirToken(_ set: String, _ format: QuantFormat) throws {
    let kernels = try KernelSet.named(set)
    let team = WorkerTeam(threads: 1)
    let (rows, columns, tokens) = (16, 512, 6)
    let weights = try SourceMatrix(format, rows: rows, columns: columns, seed: 3).packed(kernels, team)
    var x = randomActivations(tokens: tokens, columns: columns, seed: 4)
    let clean = product(weights, x, tokens: tokens, kernels, team)
    x[1 * columns + 5] = .infinity
    x[2 * columns + 300] = .nan
    x[4 * columns + 511] = -.infinity
    let y = product(weights, x, tokens: tokens, kernels, team)
    for token in 0..<tokens {
      for row in 0..<rows {
        let value = y[token * rows + row]
        if token == 1 || token == 2 || token == 4 {
          #expect(!value.isFinite)
        } else {
          #expect(value.bitPattern == clean[token * rows + row].bitPattern)
        }
      }
    }
    let tiny = [Float](repeating: 1e-38, count: columns)
    #expect(product(weights, tiny, tokens: 1, kernels, team).allSatisfy { $0.magnitude < 1e-30 })
  }

  @Test(arguments: KernelSet.available().map(\.name))
  func biasSumsAndSeveralMatrices(_ set: String) throws {
    let kernels = try KernelSet.named(set)
    let team = WorkerTeam(threads: 2)
    let (columns, tokens) = (256, 9)
    let x = randomActivations(tokens: tokens, columns: columns, seed: 1)
    let sources = [(QuantFormat.q4_0, 48), (.q6_K, 21), (.f16, 5), (.q8_0, 1)].map {
      SourceMatrix($0.0, rows: $0.1, columns: columns, seed: UInt64($0.1))
    }
    let weights = try sources.map { try $0.packed(kernels, team) }
    let input = AlignedBuffer(copying: x)
    let context = MatmulContext(kernels: kernels, team: team)
    context.load(MatrixView(input, rows: tokens, columns: columns))
    // Wide strides: the columns beside the product must stay as they were.
    let outputs = weights.map { AlignedBuffer(copying: [Float](repeating: 2, count: tokens * ($0.rows + 3))) }
    let bias = AlignedBuffer(copying: (0..<48).map { Float($0) - 20 })
    let products = weights.indices.map { i in
      MatmulProduct(
        weights[i],
        into: MatrixView(outputs[i].pointer, rows: tokens, columns: weights[i].rows, stride: weights[i].rows + 3),
        bias: i == 1 ? nil : UnsafePointer(bias.pointer), accumulate: i < 2)
    }
    context.multiply([products[0], products[1], products[2], products[3]])
    for i in weights.indices {
      let (rows, plain) = (weights[i].rows, product(weights[i], x, tokens: tokens, kernels, team))
      for token in 0..<tokens {
        for row in 0..<rows + 3 {
          let found = outputs[i].pointer[token * (rows + 3) + row]
          guard row < rows else {
            #expect(found == 2)
            continue
          }
          var expected = plain[token * rows + row]
          if i != 1 { expected += Float(row) - 20 }
          if i < 2 { expected = 2 + expected }
          #expect(found == expected)
        }
      }
    }
  }

  /// Products of rows of their own, some of none, some of the same: the bits of each by itself, and nothing beside them.
  @Test(arguments: KernelSet.available().map(\.name))
  func productsOfSomeRows(_ set: String) throws {
    let kernels = try KernelSet.named(set)
    let (columns, tokens) = (256, 140)
    let x = randomActivations(tokens: tokens, columns: columns, seed: 11)
    let input = AlignedBuffer(copying: x)
    let ranges = [0..<1, 4..<9, 12..<12, 12..<140, 0..<140, 136..<139]
    for threads in [1, 3] {
      let team = WorkerTeam(threads: threads)
      for format in [QuantFormat.q4_0, .q6_K, .f16, .q8_0] {
        let context = MatmulContext(kernels: kernels, team: team)
        context.load(MatrixView(input, rows: tokens, columns: columns))
        let weights = try ranges.indices.map {
          try SourceMatrix(format, rows: 17 + 16 * $0, columns: columns, seed: UInt64($0)).packed(kernels, team)
        }
        let outputs = ranges.indices.map { AlignedBuffer<Float>(count: (ranges[$0].count + 1) * weights[$0].rows) }
        var products: ContiguousArray<MatmulProduct> = []
        for (index, rows) in ranges.enumerated() {
          let y = MatrixView(outputs[index], rows: rows.count, columns: weights[index].rows)
          products.append(MatmulProduct(weights[index], into: y, rows: rows))
        }
        context.multiply(each: products)
        context.multiply(each: ContiguousArray())
        for (index, rows) in ranges.enumerated() {
          let part = Array(x[rows.lowerBound * columns..<rows.upperBound * columns])
          let alone = rows.isEmpty ? [] : product(weights[index], part, tokens: rows.count, kernels, team)
          let beside = [Float](repeating: 0, count: weights[index].rows)
          #expect(Array(outputs[index].buffer) == alone + beside, "\(format) rows \(rows), \(threads) threads")
        }
      }
    }
  }

  @Test func packedMatricesAreNoLargerThanTheFile() throws {
    let kernels = try KernelSet.named("portable")
    for format in QuantFormat.allCases {
      let source = SourceMatrix(format, rows: 64, columns: 1024, seed: 1)
      let packed = try source.packed(kernels, WorkerTeam(threads: 1))
      // Q3_K unpacks its scales to bytes, MXFP4 its exponents to 16 bits.
      let limit = format == .q3_K || format == .mxfp4 ? 106 : 103
      #expect(packed.byteCount <= source.bytes.count * limit / 100, "\(format.name): \(packed.byteCount)")
    }
  }

  @Test func badShapesAreErrors() throws {
    let kernels = try KernelSet.named("portable")
    let team = WorkerTeam(threads: 1)
    func make(_ rows: Int, _ columns: Int, _ format: QuantFormat, bytes: Int) -> MatmulError? {
      let memory = [UInt8](repeating: 0, count: bytes)
      return memory.withUnsafeBytes { source -> MatmulError? in
        do throws(MatmulError) {
          _ = try PackedMatrix(
            rows: rows, columns: columns, format: format, source: source, kernels: kernels, team: team)
          return nil
        } catch { return error }
      }
    }
    #expect(make(0, 32, .q4_0, bytes: 0) == .shape(rows: 0, columns: 32, format: .q4_0))
    #expect(make(1, 0, .f32, bytes: 0) == .shape(rows: 1, columns: 0, format: .f32))
    #expect(make(1, 48, .q4_0, bytes: 27) == .shape(rows: 1, columns: 48, format: .q4_0))
    #expect(make(2, 128, .q4_K, bytes: 144) == .shape(rows: 2, columns: 128, format: .q4_K))
    #expect(make(1, 32, .q4_0, bytes: 17) == .sourceSize(expected: 18, found: 17))
    #expect(make(1, 32, .q4_0, bytes: 19) == .sourceSize(expected: 18, found: 19))
    #expect(
      make(1 << 40, Int.max, .f32, bytes: 4) == .tooLarge(rows: 1 << 40, columns: Int.max, format: .f32))
    #expect(make(1 << 40, 1 << 40, .f32, bytes: 4) == .tooLarge(rows: 1 << 40, columns: 1 << 40, format: .f32))
    #expect(make(1, 32, .q4_0, bytes: 18) == nil)
  }
}
