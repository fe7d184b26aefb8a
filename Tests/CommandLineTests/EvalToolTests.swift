import Glibc
import OccamCore
import OccamTestSupport
import Testing

/// occam-eval as a user meets it.
@Suite(.enabled(if: BuiltTool.areBuilt && BuiltTools.areThere("occam-eval"), BuiltTool.reason))
struct EvalToolTests {
  private static func questions(_ lines: String...) throws -> String {
    try DemoModel.file("questions.jsonl", Array(lines.map { $0 + "\n" }.joined().utf8))
  }

  private static let good =
    #"{"id":"a","image":"\#(DemoModel.photo)","question":"is there a cat?","answer":"yes","type":"existence"}"#

  @Test func oneCommandComparesAndGoesOn() throws {
    let results = "\(TemporaryFolder.make())/results.jsonl"
    let command =
      try DemoModel.flags() + [
        "--questions", Self.questions(Self.good), "--methods", "occamtoken,cls", "--method-budget", "5.6%", "-n", "3",
        "--results", results, "-o", "jsonl",
      ]
    let first = try BuiltTool.run("occam-eval", command)
    #expect(first.code == 0, "\(first.error)")
    let rows = try first.objects
    #expect(rows.map { $0["method"]?.stringValue } == ["off", "occamtoken", "cls"])
    // 5.6 % of 576.
    #expect(rows.last?["kept"]?.doubleValue == 32)
    #expect(!first.error.contains("asking"))
    let lines = try Files.read(results)
    #expect(try BuiltTool.run("occam-eval", command).text == first.text)
    #expect(try Files.read(results) == lines)
  }

  @Test func pruneOffAsksTheUnprunedModelOnly() throws {
    let result = try BuiltTool.run(
      "occam-eval",
      DemoModel.flags() + ["--questions", Self.questions(Self.good), "--prune", "off", "-n", "2", "-o", "json"])
    #expect(result.code == 0)
    let rows = try #require(try JSONValue(parsing: result.output).arrayValue)
    #expect(rows.map { $0["method"]?.stringValue } == ["off"])
    #expect(rows[0]["kept"]?.doubleValue == 576)
  }

  @Test func badLinesAreNamedBeforeTheModelIsLoaded() throws {
    let file = try Self.questions(Self.good, #"{"id":"b"}"#)
    let result = try BuiltTool.run("occam-eval", ["-m", "/nowhere.gguf", "--questions", file])
    #expect(result.code == 1)
    #expect(result.error == "occam-eval: \(file):2: \"image\" is missing\n")
  }

  @Test(arguments: [
    (["--methods", "occamtoken,fastvv"], "did you mean 'fastv'"), (["--types", "colour"], "--types"),
    (["--method-budget", "8,x"], "--method-budget"), (["--prune", "off", "--methods", "cls"], "--prune off"),
    (["--limit", "0"], "--limit"),
  ]) func badFlagsAreUsageErrors(flags: [String], message: String) throws {
    let result = try BuiltTool.run(
      "occam-eval", ["-m", "/nowhere.gguf", "--questions", Self.questions(Self.good)] + flags)
    #expect(result.code == 2 && result.error.contains(message), "\(result.error)")
  }

  @Test func thresholdsAreNotChosenOnWhatIsAsked() throws {
    let file = try Self.questions(Self.good)
    let result = try BuiltTool.run(
      "occam-eval", DemoModel.flags() + ["--questions", file, "--calibrate", file, "--match-budget", "8"])
    #expect(result.code == 1 && result.error.contains("both sets ask about"))
  }

  @Test func settingsThatLackSomethingSayWhat() throws {
    let file = try Self.questions(Self.good)
    let budget = try BuiltTool.run("occam-eval", DemoModel.flags() + ["--questions", file, "--methods", "cls"])
    #expect(budget.code == 1 && budget.error.contains("--method-budget"))
    let match = try BuiltTool.run("occam-eval", DemoModel.flags() + ["--questions", file, "--match-budget", "8"])
    #expect(match.code == 1 && match.error.contains("--calibrate"))
  }

  /// Ctrl-C keeps what was answered; the same command goes on.
  @Test func anInterruptedRunGoesOn() throws {
    let lines = (0..<40).map {
      #"{"id":"q\#($0)","image":"\#(DemoModel.photo)","question":"is there a cat?","answer":"yes","type":"existence"}"#
        + "\n"
    }
    let file = try DemoModel.file("questions.jsonl", Array(lines.joined().utf8))
    let results = "\(TemporaryFolder.make())/results.jsonl"
    let command = try DemoModel.flags() + ["--questions", file, "--prune", "off", "-n", "8", "--results", results]
    let process = try ToolProcess("occam-eval", command)
    var answered = 0
    for _ in 0..<60_000 where answered < 3 {
      answered = ((try? Files.read(results)) ?? []).filter { $0 == 10 }.count - 1
      usleep(1000)
    }
    process.interrupt()
    #expect(process.wait() == 130)
    #expect(process.error.contains("interrupted"))
    let kept = try Files.read(results)
    let count = kept.filter { $0 == 10 }.count - 1
    #expect((3..<40).contains(count))
    #expect(try BuiltTool.run("occam-eval", command).code == 0)
    let whole = try Files.read(results)
    #expect(whole.starts(with: kept) && whole.filter { $0 == 10 }.count == 41)
  }

  @Test func aTerminalSeesABar() throws {
    let command = try DemoModel.flags() + ["--questions", Self.questions(Self.good), "-n", "2"]
    let terminal = try TerminalProcess("occam-eval", command)
    try terminal.expect("asking [")
    try terminal.expect("| off ")
    #expect(terminal.wait() == 0)
  }
}
