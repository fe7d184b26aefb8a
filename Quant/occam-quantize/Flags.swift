import OccamCommandLine
import OccamQuantFormats
import OccamQuantizer

enum Flags {
  static let threads = Flag<Int>.integer(
    "-t", "--threads", in: 1...256, help: "threads (default: OCCAM_THREADS, else the cores this process may use)")
  static let outputFormat = Flag<String>.text(
    "--output-tensor-type", value: "FORMAT", help: "format of output.weight")
  static let tokenEmbeddingFormat = Flag<String>.text(
    "--token-embedding-type", value: "FORMAT", help: "format of token_embd.weight")
  static let pure = Flag<Bool>.toggle("--pure", help: "all weights in the base format, no mix")
  static let allowRequantize = Flag<Bool>.toggle(
    "--allow-requantize", help: "accept input that is quantized already (costs quality)")
  static let dryRun = Flag<Bool>.toggle("--dry-run", help: "show sizes, write nothing; OUT.gguf may be left out")

  static let spec = CommandLineSpec(
    tool: "occam-quantize",
    summary: """
      Converts the weights of a text model or of a vision encoder (mmproj) to TYPE. Norms, biases and position and patch \
      embeddings keep their type. llama.cpp loads the result.
      """,
    groups: [
      .init("Formats", [outputFormat.spec, tokenEmbeddingFormat.spec, pure.spec, allowRequantize.spec]),
      .init("Machine", [threads.spec]),
      .init("Output", [dryRun.spec]),
    ],
    operands: [.init("IN.gguf"), .init("OUT.gguf", required: false), .init("TYPE")],
    sections: [.init("Types", QuantizationType.allCases.map { aligned($0.rawValue) + $0.summary })],
    examples: ["occam-quantize model-F16.gguf model-Q4_K_M.gguf Q4_K_M", "occam-quantize --dry-run model.gguf Q4_0"])

  private static func aligned(_ name: String) -> String { name + String(repeating: " ", count: max(8 - name.count, 1)) }
}

extension Arguments {
  /// Files and options; `output` is nil in a dry run without one.
  func quantization() throws(UsageError) -> (input: String, output: String?, options: QuantizationOptions) {
    let (input, output, type) = (operands[0], operands.count > 2 ? operands[1] : nil, operands[operands.count - 1])
    guard output != nil || self[Flags.dryRun] else { throw .missingOperand("OUT.gguf") }
    guard let known = QuantizationType(name: type) else {
      throw unknown("TYPE", type, "a type", QuantizationType.allCases.map(\.rawValue))
    }
    var options = QuantizationOptions(type: known)
    options.outputFormat = try format(Flags.outputFormat)
    options.tokenEmbeddingFormat = try format(Flags.tokenEmbeddingFormat)
    options.pure = self[Flags.pure]
    options.allowRequantize = self[Flags.allowRequantize]
    return (input, output, options)
  }

  private func format(_ flag: Flag<String>) throws(UsageError) -> QuantFormat? {
    guard let name = self[flag] else { return nil }
    guard let format = QuantFormat(name: name) else {
      throw unknown(flag.spec.name, name, "a tensor format", QuantFormat.allCases.map(\.name))
    }
    return format
  }

  /// Names are compared without case and underscores: q4km means Q4_K_M.
  private func unknown(_ flag: String, _ name: String, _ expected: String, _ known: [String]) -> UsageError {
    func plain(_ text: String) -> String { text.uppercased().filter { $0 != "_" } }
    let nearest = NearestName.find(plain(name), among: known.map(plain))
    let meant = known.first { plain($0) == nearest }.map { "; did you mean '\($0)'?" } ?? ""
    return .invalidValue(flag: flag, value: name, expected: "\(expected) (\(known.joined(separator: ", ")))\(meant)")
  }
}
