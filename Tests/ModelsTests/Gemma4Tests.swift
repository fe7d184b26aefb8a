import Occam
import OccamCore
import OccamFixtures
import OccamGGUF
import OccamMatmul
import OccamModels
import OccamTensors
import OccamTestSupport
import Testing

/// Layers of Gemma 4 that read entries of earlier ones, in a prefill that runs layers in two groups; what is in memory.
@Suite(.serialized) struct Gemma4Tests {
  private let decoder: any TextDecoder
  private let compute: Compute

  init() throws {
    let kernels = try KernelSet.named(nil)
    let team = WorkerTeam(threads: 2)
    let file = try GGUFFile(path: Fixture.makeFiles("gemma4-a", "F32").text)
    decoder = try ModelRegistry.textDecoder(WeightLoader(file: file, kernels: kernels, team: team))
    compute = Compute(kernels: kernels, team: team)
  }

  private struct Rows {
    var hidden: [Float]
    var inputs: [Float]
    var positions: [Position]
    var tokens: [Int32]

    func picked(_ kept: [Int], width: Int) -> Rows {
      func rows(_ values: [Float]) -> [Float] { kept.flatMap { values[$0 * width..<($0 + 1) * width] } }
      return Rows(
        hidden: rows(hidden), inputs: rows(inputs), positions: kept.map { positions[$0] },
        tokens: kept.map { tokens[$0] })
    }
  }

  private func prompt(_ count: Int) -> Rows {
    let tokens = (0..<count).map { Int32($0 * 37 % decoder.shape.vocabulary) }
    let hidden = tokens.flatMap { token -> [Float] in
      let row = AlignedBuffer<Float>(count: decoder.shape.hidden)
      decoder.embed(token, into: row.pointer)
      return Array(row.buffer)
    }
    return Rows(hidden: hidden, inputs: hidden, positions: (0..<count).map { Position(Int32($0)) }, tokens: tokens)
  }

  /// Rows through `layers`, `chunk` at a time; what no later row sees is dropped behind each.
  private func run(_ rows: inout Rows, _ layers: Range<Int>, chunk: Int, _ states: SequenceState) throws {
    let width = decoder.shape.hidden
    for start in stride(from: 0, to: rows.positions.count, by: chunk) {
      let part = start..<min(start + chunk, rows.positions.count)
      let numbers = part.lowerBound * width..<part.upperBound * width
      let hidden = AlignedBuffer(copying: Array(rows.hidden[numbers]))
      let inputs = AlignedBuffer(copying: Array(rows.inputs[numbers]))
      try Array(rows.positions[part]).withUnsafeBufferPointer { positions in
        try Array(rows.tokens[part]).withUnsafeBufferPointer { tokens in
          let input = PassInput(
            hidden: MatrixView(hidden, rows: part.count, columns: width), positions: positions, tokens: tokens,
            inputs: MatrixView(inputs, rows: part.count, columns: width))
          try decoder.forward(layers: layers, input, states: .one(states), compute: compute)
        }
      }
      rows.hidden.replaceSubrange(numbers, with: hidden.buffer)
      states.dropUnreachable(from: rows.positions[part.upperBound - 1].t, in: layers)
    }
  }

  /// The window is 24 entries, layers 4...7 share: whole blocks leave the windows' caches while rows pass layers 0...l,
  /// and rows behind layer l must find what they see all the same, and nothing behind them.
  @Test(arguments: [3, 4, 5, 6, 7], [17, 64, 200]) func groupsAndChunksChangeNothing(split: Int, chunk: Int) throws {
    var whole = prompt(200)
    try run(&whole, 0..<8, chunk: 200, SequenceState(decoder.shape, formats: KVCacheFormats(.f32)))
    var parts = prompt(200)
    let states = SequenceState(decoder.shape, formats: KVCacheFormats(.f32))
    try run(&parts, 0..<split, chunk: chunk, states)
    try run(&parts, split..<8, chunk: chunk, states)
    #expect(error(of: parts.hidden, from: whole.hidden) < 1e-4)
    // Now the windows' blocks are free.
    #expect(states.keyValues(0).count < 200)
    #expect(states.keyValues(2).count < 200)
  }

  /// Rows that stage II drops stay in the first layers' caches under the policy `keep`: shared layers see them there, own
  /// layers do not; chunks change nothing.
  @Test(arguments: [true, false]) func survivorsSeeByPosition(evicts: Bool) throws {
    let kept = (0..<200).filter { $0 < 20 || $0 >= 150 || $0 % 3 == 0 }
    func outcome(_ chunk: Int, beyond: Int) throws -> Rows {
      var rows = prompt(200)
      let states = SequenceState(decoder.shape, formats: KVCacheFormats(.f32))
      try run(&rows, 0..<5, chunk: chunk, states)
      if evicts { states.keep(kept, ofLast: 200, in: 0..<5) }
      var survivors = rows.picked(Array(kept.prefix(beyond)), width: decoder.shape.hidden)
      try run(&survivors, 5..<8, chunk: chunk, states)
      return survivors
    }
    let whole = try outcome(200, beyond: kept.count)
    #expect(error(of: try outcome(31, beyond: kept.count).hidden, from: whole.hidden) < 1e-4)
    // A row depends on none behind it, though the caches of layers 0...4 hold them all.
    let first = try outcome(200, beyond: 30).hidden
    #expect(error(of: first, from: Array(whole.hidden.prefix(first.count))) < 1e-4)
    // And it sees what was dropped where that stayed.
    var all = prompt(200)
    try run(&all, 0..<8, chunk: 200, SequenceState(decoder.shape, formats: KVCacheFormats(.f32)))
    let unpruned = all.picked(kept, width: decoder.shape.hidden).hidden
    let difference = error(of: whole.hidden, from: unpruned)
    #expect(evicts ? difference > 1e-3 : difference < 1e-4)
  }

  @Test func tokensCountBehindTheFirstLayerToo() throws {
    var rows = prompt(5)
    var other = rows
    other.tokens[4] = PassInput.noToken
    try run(&rows, 5..<8, chunk: 5, try started())
    try run(&other, 5..<8, chunk: 5, try started())
    let width = decoder.shape.hidden
    #expect(rows.hidden.prefix(4 * width) == other.hidden.prefix(4 * width))
    #expect(error(of: Array(other.hidden.suffix(width)), from: Array(rows.hidden.suffix(width))) > 1e-2)
  }

  private func started() throws -> SequenceState {
    let states = SequenceState(decoder.shape, formats: KVCacheFormats(.f32))
    var rows = prompt(5)
    try run(&rows, 0..<5, chunk: 5, states)
    return states
  }

  /// Embeddings of layers are read row by row: they count neither as weights nor in the plan.
  @Test func layerEmbeddingsStayInTheFile() throws {
    let path = try Fixture.makeFiles("gemma4-a", "F16").text
    let file = try GGUFFile(path: path)
    let table = try #require(file.tensor("per_layer_token_embd.weight")).byteRange.count
    let stored = file.tensors.reduce(0) { $0 + $1.byteRange.count }
    #expect(table == 2 * 8 * 32 * decoder.shape.vocabulary)
    let model = try VisionLanguageModel(path: path)
    let plan = try MemoryPlan(path: path)
    #expect(plan.textWeightsBytes + plan.visionWeightsBytes == model.weightsBytes)
    // What packing pads is far less than the table.
    #expect(plan.textWeightsBytes < stored - table / 2)
  }

  /// Of the mapped file little more is resident behind a long prompt than the rows of its tokens.
  @Test func fewPagesOfTheFileAreResident() throws {
    var spec = try #require(FixtureSpec.named("gemma4-a"))
    spec.vocabulary = .builtIn(minimumCount: 60_000)
    let path = try spec.write(to: TemporaryFolder.make(), type: .f16).text
    let table = 2 * 8 * 32 * 60_000
    let model = try VisionLanguageModel(path: path, options: ModelOptions(threads: 2))
    var options = GenerationOptions()
    (options.raw, options.maxTokens) = (true, 4)
    let prompt = String(repeating: "the cat is red. ", count: 50)
    let metrics = try model.makeSession().respond(to: prompt, options: options)
    #expect(metrics.promptTokens > 100)
    let resident = try Gemma4Tests.residentBytes(of: path)
    #expect(resident < table / 4, "\(resident) of \(table)")
  }

  /// What is in memory of a mapped file (Linux, proc_pid_smaps(5)).
  private static func residentBytes(of path: String) throws -> Int {
    let text = String(decoding: try Files.read("/proc/self/smaps", limit: 1 << 26), as: UTF8.self)
    var (isOfFile, found, bytes) = (false, false, 0)
    for line in text.split(separator: "\n") {
      if line.first?.isHexDigit == true, line.contains("-") {
        isOfFile = line.hasSuffix(path)
        found = found || isOfFile
      } else if isOfFile, line.hasPrefix("Rss:") {
        bytes += 1024 * (Int(line.split(separator: " ")[1]) ?? 0)
      }
    }
    try #require(found)
    return bytes
  }

  /// Stage II acts where everything is seen, in front of the layers whose entries later ones read (14 and 15 of E2B), if
  /// there is such a layer.
  @Test func stageTwoComesBeforeSharedEntries() throws {
    let spec = try #require(FixtureSpec.named("gemma4-e2b"))
    let shape = try ModelRegistry.textShape(spec.synthesizeText(type: .q4_0))
    #expect(shape.states[15] == .shared(layer: 13) && shape.states[19] == .shared(layer: 14))
    #expect(shape.defaultPruningLayer == 10 && shape.pruningLayer(atLeast: 12) == 15)
    #expect(decoder.shape.defaultPruningLayer == 4)
  }

  /// What keys say together; each alone is in HostileFamilyTests.
  @Test func impossibleLayers() throws {
    let text = try TinyFamily.gemma4.files().text
    func error(_ key: String, _ value: GGUFValue) throws -> OccamError? {
      var edited = try EditedModel(text)
      edited.set("gemma4.\(key)", value)
      return loadingError(try edited.write(), nil)
    }
    // The last two share, and find no layer of their kind before them.
    let pattern = try error("attention.sliding_window_pattern", .array(.bool([true, true, true, false])))
    #expect(pattern?.code == .invalidModel && pattern?.message.contains("shared_kv_layers") == true)
    // Widths that are not those of the tensors.
    let width = try error("feed_forward_length", .uint32(95))
    #expect(width?.code == .invalidModel && width?.message.contains("ffn_gate.weight") == true)
    let layers = try error("embedding_length_per_layer_input", .uint32(8))
    #expect(layers?.code == .invalidModel && layers?.message.contains("per_layer_token_embd.weight") == true)
    let experts = try error("expert_count", .uint32(8))
    #expect(experts?.code == .unsupportedModel && experts?.message.contains("expert_count") == true)
    var divisors = try EditedModel(text)
    try divisors.replace(
      tensor: "rope_freqs.weight", data: [UInt8](repeating: 0, count: 4 * 16))
    let divisor = loadingError(try divisors.write(), nil)
    #expect(divisor?.code == .invalidModel && divisor?.message.contains("rope_freqs") == true)
  }
}
