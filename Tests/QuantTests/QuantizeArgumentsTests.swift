import OccamQuantFormats
import OccamQuantizer
import Testing

@Suite struct QuantizeArgumentsTests {
  private func arguments(_ line: String) throws -> QuantizeArguments {
    let request = try QuantizeArguments.parse(line.split(separator: " ").map(String.init))
    guard case .quantize(let arguments) = request else {
      Issue.record("'\(line)' asks for help")
      return QuantizeArguments()
    }
    return arguments
  }

  @Test func everyOption() throws {
    let read = try arguments(
      "-t 3 in.gguf --output-tensor-type=q8_0 out.gguf --token-embedding-type F16 q6_k --pure --allow-requantize")
    var expected = QuantizeArguments()
    expected.input = "in.gguf"
    expected.output = "out.gguf"
    expected.threads = 3
    expected.options = QuantizationOptions(type: .q6_K)
    expected.options.outputFormat = .q8_0
    expected.options.tokenEmbeddingFormat = .f16
    expected.options.pure = true
    expected.options.allowRequantize = true
    #expect(read == expected)
  }

  @Test func dryRunsNeedNoOutput() throws {
    let read = try arguments("--dry-run in.gguf Q8_0")
    #expect(read.isDryRun && read.output == nil && read.input == "in.gguf" && read.options.type == .q8_0)
    #expect(try arguments("--dry-run in.gguf out.gguf Q8_0").output == "out.gguf")
  }

  @Test func helpEndsTheReading() throws {
    #expect(try QuantizeArguments.parse(["-h", "--nonsense"]) == .help)
    #expect(try QuantizeArguments.parse(["a", "--help"]) == .help)
  }

  @Test func namesMayBeginWithADash() throws {
    let read = try arguments("--threads=2 -- -in.gguf -out.gguf Q4_0")
    #expect(read.input == "-in.gguf" && read.output == "-out.gguf" && read.threads == 2)
  }

  @Test(arguments: [
    ("", "IN OUT TYPE expected, 0 arguments given"),
    ("a", "IN OUT TYPE expected, 1 argument given"),
    ("a Q4_0", "IN OUT TYPE expected, 2 arguments given"),
    ("a b Q4_0 2", "IN OUT TYPE expected, 4 arguments given"),
    ("--dry-run a", "IN [OUT] TYPE expected, 1 argument given"),
    ("a b q4km", "unknown type 'q4km'; did you mean Q4_K_M?"),
    ("--treads 2 a b Q4_0", "unknown option '--treads'; did you mean --threads?"),
    ("a b Q4_0 -t", "-t needs a value"),
    ("-t 0 a b Q4_0", "-t: a number from 1 to 256 expected, not '0'"),
    ("-t 257 a b Q4_0", "-t: a number from 1 to 256 expected, not '257'"),
    ("--threads=two a b Q4_0", "--threads: a number from 1 to 256 expected, not 'two'"),
    ("--pure=yes a b Q4_0", "--pure takes no value"),
    ("--output-tensor-type Q6K a b Q4_0", "unknown tensor type 'Q6K'; did you mean Q6_K?"),
  ])
  func mistakesAreNamed(_ line: String, _ message: String) {
    #expect(throws: QuantizeArguments.UsageError(message: message)) { _ = try arguments(line) }
  }
}
