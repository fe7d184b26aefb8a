import OccamCore
import OccamTestSupport
import Testing

/// occam-quantize as its users run it; what it writes is QuantTests' matter.
@Suite(.enabled(if: BuiltTool.areBuilt && BuiltTools.areThere("occam-quantize"), BuiltTool.reason))
struct QuantizeToolTests {
  private func run(_ arguments: [String]) throws -> ToolResult { try BuiltTool.run("occam-quantize", arguments) }

  @Test func dryRunsNeedNoOutput() throws {
    let model = try Fixture.make("g1", "F16", seed: 5).text
    for files in [[model], [model, "/nowhere/out.gguf"]] {
      let result = try run(["--dry-run"] + files + ["q6_k", "--output-tensor-type=q8_0", "--pure", "-t", "2"])
      #expect(result.code == 0 && result.text == "", "\(result.error)")
      #expect(result.error.contains("Q8_0") && !result.error.contains("time  "), "\(result.error)")
    }
  }

  @Test func writesWhatItIsAskedFor() throws {
    let model = try Fixture.make("g1", "F16", seed: 5).text
    let output = "\(TemporaryFolder.make())/-out.gguf"
    let result = try run(["-t", "1", "--", model, output, "Q8_0"])
    #expect(result.code == 0 && result.error.contains("time  "), "\(result.error)")
    let again = try run([output, output + "2", "Q4_0"])
    #expect(again.code == 1 && again.error.contains("is quantized already (Q8_0)"), "\(again.error)")
    #expect(try run([output, output + "2", "Q4_0", "--allow-requantize"]).code == 0)
  }

  @Test(
    arguments: [
      ([], "IN.gguf is missing"),
      (["a"], "TYPE is missing"),
      (["a", "Q4_0"], "OUT.gguf is missing"),
      (["a", "b", "Q4_0", "2"], "unexpected argument '2'"),
      (["a", "b", "q4km"], "did you mean 'Q4_K_M'?"),
      (["--treads", "2", "a", "b", "Q4_0"], "unknown flag '--treads'; did you mean '--threads'?"),
      (["a", "b", "Q4_0", "-t"], "-t needs a whole number from 1 to 256"),
      (["-t", "0", "a", "b", "Q4_0"], "-t: expected a whole number from 1 to 256, found '0'"),
      (["--pure=yes", "a", "b", "Q4_0"], "--pure takes no value"),
      (["--output-tensor-type", "Q6K", "a", "b", "Q4_0"], "did you mean 'Q6_K'?"),
    ] as [([String], String)]) func mistakesAreNamed(arguments: [String], message: String) throws
  {
    let result = try run(arguments)
    #expect(result.code == 2 && result.error.contains(message), "\(result.error)")
  }

  @Test func helpListsTheTypes() throws {
    let help = try run(["--help"]).text
    #expect(help.contains("IN.gguf [OUT.gguf] TYPE") && help.contains("Q4_K_M  4 bits in super-blocks"), "\(help)")
  }
}
