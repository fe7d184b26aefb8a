import OccamCore
import OccamGGUF
import OccamQuantFormats
import OccamQuantizer
import Testing

/// Whole files through the quantizer.
@Suite struct QuantizeFileTests {
  private static let rows = 37

  /// Where rows hold no whole blocks of 256.
  private static let fallbacks: [QuantFormat: QuantFormat] = [
    .q2_K: .q4_0, .q3_K: .q4_0, .q4_K: .q5_0, .q5_K: .q5_1, .q6_K: .q8_0, .iq4_xs: .iq4_nl,
  ]

  private static func noise(_ count: Int, seed: UInt64) -> [Float] {
    var generator = SeededGenerator(seed: seed)
    return (0..<count).map { _ in generator.normal() * 0.1 }
  }

  private static func writer(_ source: QuantFormat = .f32) throws -> GGUFWriter {
    var writer = GGUFWriter()
    writer.set("general.architecture", "llama")
    writer.set("general.name", "caf\u{e9}")
    writer.set("general.file_type", 1)
    writer.set("tokenizer.ggml.tokens", ["<s>", "\u{2581}a"])
    writer.set("split.count", 1)
    writer.set("split.no", 0)
    try writer.add("output_norm.weight", [256], .f32, noise(256, seed: 1))
    try writer.add("blk.0.attn_q.weight", [256, rows], source, noise(256 * rows, seed: 2))
    try writer.add("blk.0.attn_q.bias", [rows], .f32, noise(rows, seed: 3))
    try writer.add("blk.0.ffn_up.weight", [64, 5, 3], source, noise(960, seed: 4))
    return writer
  }

  private static func bytes(_ name: String, _ file: GGUFFile) throws -> [UInt8] {
    Array(file.bytes(try file.requireTensor(name)))
  }

  @Test(arguments: QuantizationType.allCases) func weightsAreEncodedTheRestIsCopied(_ type: QuantizationType) throws {
    let model = try QuantizeFile(Self.writer())
    let input = try GGUFFile(path: model.path)
    let output = try model.quantize(QuantizationOptions(type: type))
    #expect(output.tensors.map(\.name) == input.tensors.map(\.name))
    for name in ["output_norm.weight", "blk.0.attn_q.bias"] {
      #expect(try Self.bytes(name, output) == Self.bytes(name, input))
    }
    for (name, fits) in [("blk.0.attn_q.weight", true), ("blk.0.ffn_up.weight", false)] {
      let format = fits ? type.base : Self.fallbacks[type.base] ?? type.base
      let info = try output.requireTensor(name)
      #expect(info.type.rawValue == format.rawValue)
      let numbers = Self.noise(info.elementCount, seed: fits ? 2 : 4)
      var expected = [UInt8](repeating: 0, count: try #require(format.byteCount(elements: numbers.count)))
      expected.withUnsafeMutableBytes { format.encode(numbers, count: numbers.count, into: $0.baseAddress!) }
      #expect(try Self.bytes(name, output) == expected)
    }
  }

  @Test func metadataIsKept() throws {
    let output = try QuantizeFile(Self.writer()).quantize(QuantizationOptions(type: .q4_K_M))
    #expect(output.metadata["general.file_type"] == .uint32(15))
    #expect(output.metadata["general.quantization_version"] == .uint32(2))
    #expect(try output.string("general.name") == "caf\u{e9}")
    #expect(try output.strings("tokenizer.ggml.tokens") == ["<s>", "\u{2581}a"])
    #expect(!output.metadata.keys.contains { $0.hasPrefix("split.") })
  }

  /// 1 byte a slab: as many rows at a time as there are threads.
  @Test func threadsAndSlabsDoNotMatter() throws {
    let model = try QuantizeFile(Self.writer(.f16))
    func content(_ threads: Int, _ slab: Int) throws -> [UInt8] {
      _ = try model.quantize(QuantizationOptions(type: .q4_K_M), threads: threads, slabBytes: slab)
      return try Files.read(model.output)
    }
    let one = try content(1, 4 << 20)
    for (threads, slab) in [(1, 1), (3, 1), (2, 500), (5, 4 << 20)] { #expect(try content(threads, slab) == one) }
  }

  @Test func alreadyInThatFormatIsCopied() throws {
    let model = try QuantizeFile(Self.writer(.q8_0))
    let output = try model.quantize(QuantizationOptions(type: .q8_0))
    let input = try GGUFFile(path: model.path)
    for info in input.tensors { #expect(try Self.bytes(info.name, output) == Self.bytes(info.name, input)) }
  }

  @Test func requantizingMustBeAskedFor() throws {
    let model = try QuantizeFile(Self.writer(.q8_0))
    var options = QuantizationOptions(type: .q4_0)
    #expect(
      throws: QuantizeError(model.path, tensor: "blk.0.attn_q.weight", .alreadyQuantized("Q8_0"))
    ) { _ = try model.plan(options) }
    options.allowRequantize = true
    #expect(try model.quantize(options).requireTensor("blk.0.attn_q.weight").type == .q4_0)
    // Back to floating point loses nothing more.
    #expect(try model.quantize(QuantizationOptions(type: .f16)).requireTensor("blk.0.attn_q.weight").type == .f16)
  }

  @Test func formatsThatCannotBeReadAreNamed() throws {
    var writer = GGUFWriter()
    try writer.add(tensor: "a.weight", dimensions: [32, 2], type: .q8_1, data: [UInt8](repeating: 0, count: 72))
    let model = try QuantizeFile(writer)
    #expect(throws: QuantizeError(model.path, tensor: "a.weight", .unsupportedFormat("q8_1"))) {
      _ = try model.plan(QuantizationOptions(type: .f16))
    }
  }

  @Test func numbersThatAreNoneAreRefusedAndNothingIsLeftBehind() throws {
    let cases: [(QuantizationType, Float, QuantizeError.Problem)] = [
      (.q4_K_M, .nan, .notFinite(row: 1)), (.q8_0, -.infinity, .notFinite(row: 1)),
      (.f16, 1e6, .overflow(row: 1, format: .f16)), (.q4_0, 1e7, .overflow(row: 1, format: .q4_0)),
      (.q6_K, -3e9, .overflow(row: 1, format: .q6_K)), (.q5_K_M, 1e9, .overflow(row: 1, format: .q5_K)),
      (.bf16, .greatestFiniteMagnitude, .overflow(row: 1, format: .bf16)),
    ]
    for (type, value, problem) in cases {
      var numbers = Self.noise(256 * 4, seed: 8)
      numbers[256 + 77] = value
      numbers[3 * 256] = value
      var writer = GGUFWriter()
      try writer.add("a.weight", [256, 4], .f32, numbers)
      let model = try QuantizeFile(writer)
      try Files.write([1, 2, 3], to: model.output)
      #expect(throws: QuantizeError(model.path, tensor: "a.weight", problem)) {
        _ = try model.quantize(QuantizationOptions(type: type))
      }
      #expect(try Files.read(model.output) == [1, 2, 3])
      #expect(Files.list(model.folder) == ["in.gguf", "out.gguf"])
    }
  }

  @Test func filesThatCannotBeUsed() throws {
    let model = try QuantizeFile(Self.writer())
    let options = QuantizationOptions(type: .q4_0)
    let quantizer = try Quantizer(path: model.path, options)
    let team = WorkerTeam(threads: 1)
    #expect(throws: QuantizeError(model.path, .outputIsInput)) {
      try quantizer.write(to: model.path, team: team) { _, _ in }
    }
    #expect(throws: QuantizeError.self) { try quantizer.write(to: "/nowhere/at/all", team: team) { _, _ in } }
    #expect(throws: QuantizeError.self) { _ = try Quantizer(path: model.folder + "/none.gguf", options) }
    // A part is one only under its name, beside the others.
    var part = try Self.writer()
    part.set("split.count", .uint16(3))
    part.set("split.tensors.count", .int32(12))
    let error = #expect(throws: QuantizeError.self) { _ = try QuantizeFile(part).plan(options) }
    #expect(error?.description.contains("in.gguf") == true)
  }

  /// Whichever part is named; the output is a model in one file, and equals that of the model in one file.
  @Test(arguments: [1, 2]) func splitModelsAreTakenWhole(named: Int) throws {
    let whole = try QuantizeFile(Self.writer())
    let file = try GGUFFile(path: whole.path)
    func path(_ number: Int) -> String { "\(whole.folder)/part-0000\(number)-of-00002.gguf" }
    for number in 1...2 {
      var part = GGUFWriter()
      if number == 1 { for key in file.metadata.keys { part.set(key, try #require(file.metadata[key])) } }
      part.set("split.no", .uint16(UInt16(number - 1)))
      part.set("split.count", .uint16(2))
      part.set("split.tensors.count", .int32(Int32(file.tensors.count)))
      for tensor in number == 1 ? file.tensors.prefix(2) : file.tensors.dropFirst(2) {
        try part.add(
          tensor: tensor.name, dimensions: tensor.dimensions, type: tensor.type, data: Array(file.bytes(tensor)))
      }
      try part.write(to: path(number))
    }
    let options = QuantizationOptions(type: .q4_K_M)
    _ = try whole.quantize(options)
    let expected = try Files.read(whole.output)
    let quantizer = try Quantizer(path: path(named), options)
    try quantizer.write(to: whole.output, team: WorkerTeam(threads: 1)) { _, _ in }
    #expect(try Files.read(whole.output) == expected)
    // Neither part may be written over.
    for number in 1...2 {
      #expect(throws: QuantizeError(path(number), .outputIsInput)) {
        try quantizer.write(to: path(number), team: WorkerTeam(threads: 1)) { _, _ in }
      }
    }
  }

  @Test func progressFollowsTheFile() throws {
    let model = try QuantizeFile(Self.writer())
    let quantizer = try Quantizer(path: model.path, QuantizationOptions(type: .q4_0))
    var seen: [String] = []
    try quantizer.write(to: model.output, team: WorkerTeam(threads: 2)) { seen.append("\($0) \($1.info.name)") }
    #expect(seen == quantizer.plan.tensors.enumerated().map { "\($0) \($1.info.name)" })
  }

  @Test func errorsNameFileTensorAndReason() {
    let error = QuantizeError("m.gguf", tensor: "a\nb", .overflow(row: 3, format: .q4_K))
    #expect("\(error)" == "'m.gguf': tensor 'a?b': row 3 holds a number too large for Q4_K")
  }
}
