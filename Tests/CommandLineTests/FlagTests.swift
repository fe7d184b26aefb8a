import OccamCommandLine
import Testing

enum Colour: String, CaseIterable, Sendable { case red, green }

struct Flags {
  let model = Flag<String>.file("-m", "--model", help: "the model")
  let projector = Flag<String>.file("-mm", "--mmproj", help: "the projector beside it")
  let image = Flag<String>.file("--image", help: "an image; may be repeated")
  let tokens = Flag<Int>.integer("-n", "--n-predict", in: -1...Int.max, default: 128, help: "tokens to generate")
  let temperature = Flag<Float>.number("--temp", "--temperature", in: 0...5, default: 0.8, help: "randomness")
  let colour = Flag<Colour>.choice("-ctk", "--cache-type-k", default: .green, help: "a choice")
  let system = Flag<String>.text("-sys", "--system-prompt", help: "a text")
  let verbose = Flag<Bool>.toggle("-v", "--verbose", help: "say more")
  let list = Flag<Bool>.toggle("--list", help: "print a list")

  func spec(_ operands: [CommandLineSpec.Operand] = []) -> CommandLineSpec {
    CommandLineSpec(
      tool: "demo", summary: "Shows flags.",
      groups: [
        .init("Model", [model.spec, projector.spec, image.spec]),
        .init("Sampling", [tokens.spec, temperature.spec, colour.spec]),
        .init("Rest", [system.spec, verbose.spec]),
      ], operands: operands, pages: [.init(list) { "a list\n" }],
      sections: [.init("Kinds", ["one   the first"])], examples: ["demo -m a.gguf"])
  }

  func parse(_ arguments: String...) throws(UsageError) -> Arguments { try spec().parse(arguments) }

  func error(_ arguments: String...) -> UsageError? {
    do {
      _ = try spec().parse(arguments)
      return nil
    } catch {
      return error
    }
  }
}

@Suite struct FlagTests {
  let flags = Flags()

  @Test func namesOfOneTwoAndMoreLetters() throws {
    let arguments = try flags.parse("-m", "a", "-mm", "b", "-sys", "hello there", "-ctk", "red", "-n", "-1", "-v")
    #expect(arguments[flags.model] == "a")
    #expect(arguments[flags.projector] == "b")
    #expect(arguments[flags.system] == "hello there")
    #expect(arguments[flags.colour] == .red)
    #expect(arguments[flags.tokens] == -1 && arguments.value(flags.tokens) == -1)
    #expect(arguments.value(flags.temperature) == 0.8)
    #expect(arguments[flags.verbose])
    #expect(!arguments[flags.list] && !arguments[StandardFlags.help])
  }

  @Test func attachedValuesUnderscoresAndAliases() throws {
    let arguments = try flags.parse("--model=x=y", "--n_predict=7", "--temperature", "0", "--system-prompt=")
    #expect(arguments[flags.model] == "x=y")
    #expect(arguments[flags.tokens] == 7)
    #expect(arguments[flags.temperature] == 0)
    #expect(arguments[flags.system] == "")
  }

  @Test func defaultsApplyAndAreToldFromGivenValues() throws {
    let arguments = try flags.parse("--temp", "0.8")
    #expect(arguments[flags.tokens] == 128 && !arguments.isGiven(flags.tokens))
    #expect(arguments[flags.temperature] == 0.8 && arguments.isGiven(flags.temperature))
    #expect(arguments[flags.colour] == .green)
    #expect(arguments[flags.model] == nil)
    #expect(throws: UsageError.missingFlag("--model")) { try arguments.require(flags.model) }
    #expect(try arguments.require(flags.tokens) == 128)
  }

  @Test func repeatedFlags() throws {
    let arguments = try flags.parse("--image", "a", "--image=b", "-n", "1", "-n", "2")
    #expect(arguments.all(flags.image) == ["a", "b"])
    #expect(arguments[flags.tokens] == 2)
    #expect(arguments.all(flags.model) == [])
  }

  @Test func dashesAloneAndTheEndOfFlags() throws {
    let arguments = try flags.parse("--image", "-", "-", "--", "-m", "--unknown")
    #expect(arguments.all(flags.image) == ["-"])
    #expect(arguments.operands == ["-", "-m", "--unknown"])
  }

  @Test func missingValuesNameWhatIsExpected() {
    #expect(flags.error("-m")?.description == "-m needs the name of a file")
    #expect(
      flags.error("--n-predict", "--temp=1")?.description
        == "--n-predict needs a whole number of -1 or more, but the flag '--temp=1' follows "
        + "(write --n-predict=--temp=1 if that is the value)")
    #expect(flags.error("--system-prompt=-v") == nil)
  }

  @Test(arguments: [
    (["-n", "x"], "-n: expected a whole number of -1 or more, found 'x'"),
    (["-n", "-2"], "-n: expected a whole number of -1 or more, found '-2'"),
    (["-n", "99999999999999999999"], "-n: expected a whole number of -1 or more, found '99999999999999999999'"),
    (["--temp=nan"], "--temp: expected a number from 0.0 to 5.0, found 'nan'"),
    (["--temp=inf"], "--temp: expected a number from 0.0 to 5.0, found 'inf'"),
    (["--temp", ""], "--temp: expected a number from 0.0 to 5.0, found ''"),
    (["-ctk", "blue"], "-ctk: expected one of red, green, found 'blue'"),
    (["--model="], "--model: expected the name of a file, found ''"),
    (["--verbose=yes"], "--verbose takes no value, found 'yes'"),
  ]) func wrongValuesNameFlagAndExpectation(arguments: [String], message: String) {
    do {
      _ = try flags.spec().parse(arguments)
      Issue.record("accepted")
    } catch {
      #expect(error.description == message)
    }
  }

  @Test(arguments: [
    ("--tmep", "--temp"), ("--modle=a", "--model"), ("--images", "--image"), ("-nm", "-mm"),
    ("--n-predictt", "--n-predict"), ("--cache-type", "--cache-type-k"), ("--temperatur", "--temperature"),
    ("-sus", "-sys"), ("--verbos", "--verbose"),
  ]) func unknownFlagsNameTheNearest(given: String, nearest: String) {
    let name = String(given.prefix { $0 != "=" })
    #expect(flags.error(given) == .unknownFlag(name, nearest: nearest))
  }

  @Test func somethingQuiteDifferentHasNoNearest() {
    for given in ["-x", "--zzzzzzzz", "---"] { #expect(flags.error(given) == .unknownFlag(given, nearest: nil)) }
    let long = "--" + String(repeating: "a", count: 100_000)
    let error = flags.error(long)
    #expect((error == .unknownFlag(long, nearest: nil)) == true)
    #expect(error?.description.count == "unknown flag ''".count + 80)
  }

  @Test func operandsAreCounted() throws {
    let spec = flags.spec([.init("IN"), .init("OUT"), .init("TYPE", required: false)])
    func check(_ arguments: String...) throws(UsageError) { try spec.checkOperands(try spec.parse(arguments)) }
    try check("a", "b")
    try check("a", "b", "c")
    #expect(throws: UsageError.missingOperand("OUT")) { try check("a") }
    #expect(throws: UsageError.unexpectedOperand("d")) { try check("a", "b", "c", "d") }
    let middle = flags.spec([.init("IN"), .init("OUT", required: false), .init("TYPE")])
    try middle.checkOperands(try middle.parse(["a", "q"]))
    #expect(throws: UsageError.missingOperand("TYPE")) { try middle.checkOperands(try middle.parse(["a"])) }
    let many = flags.spec([.init("FILE", required: false, repeats: true)])
    try many.checkOperands(try many.parse(["a", "b", "c"]))
    #expect(throws: UsageError.unexpectedOperand("a")) { try flags.spec().checkOperands(try flags.parse("a")) }
  }

  @Test func helpIsAlignedToTheWidth() {
    let expected = """
      Shows flags.

      Usage: demo [flags] IN [OUT]...

      Model:
        -m, --model FILE    the model
        -mm, --mmproj FILE  the projector beside it
        --image FILE        an image; may be repeated

      Sampling:
        -n, --n-predict N   tokens to generate
                            (default: 128)
        --temp, --temperature N
                            randomness (default: 0.8)
        -ctk, --cache-type-k red|green
                            a choice (default: green)

      Rest:
        -sys, --system-prompt TEXT
                            a text
        -v, --verbose       say more

      Other:
        --list              print a list
        -h, --help          print this help
        --version           print the version
        --generate man|bash
                            print the manual page
                            (roff), or the completion
                            script of a shell

      Kinds:
        one   the first

      Examples:
        demo -m a.gguf

      """
    let help = flags.spec([.init("IN"), .init("OUT", required: false, repeats: true)]).help(width: 47)
    #expect(help == expected.replacing("[OUT]...", with: "[OUT...]"))
    for width in [0, 40, 60, 80, 200] {
      let lines = flags.spec().help(width: width).split(separator: "\n")
      #expect(lines.allSatisfy { $0.count <= max(width, 44) })
    }
  }
}
