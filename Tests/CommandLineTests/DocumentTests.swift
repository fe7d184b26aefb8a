import Glibc
import OccamCommandLine
import OccamCore
import OccamTestSupport
import Testing

/// What a tool prints about itself.
@Suite struct DocumentTests {
  let flags = Flags()

  private func text(_ arguments: String...) throws -> String? {
    let spec = flags.spec()
    return spec.text(asked: try spec.parse(arguments), width: 80)
  }

  @Test func flagsThatPrint() throws {
    #expect(try text("-v") == nil)
    #expect(try text("-h") == flags.spec().help(width: 80))
    #expect(try text("--version") == "demo \(Release.version)\n")
    #expect(try text("--list") == "a list\n")
    #expect(try text("--generate", "man") == flags.spec().manualPage())
    #expect(try text("--generate=bash", "-v") == flags.spec().bashCompletion())
    #expect(flags.error("--generate", "zsh") != nil)
  }

  @Test func manualPage() {
    let path = Flag<String>.file("--path", help: ".dots, 'quotes', \"more\", back\\slashes, ~/x^y and `ticks`")
    let spec = CommandLineSpec(
      tool: "demo-tool", summary: "Shows flags. All of them.", groups: [.init("Files", [path.spec])],
      operands: [.init("IN")], sections: [.init("Kinds", ["  a    b", ".x"])], examples: ["demo-tool --path=a"])
    let expected = """
      .TH DEMO\\-TOOL 1 "" "Occam \(Release.version)" "Occam"
      .SH NAME
      demo\\-tool \\- shows flags
      .SH SYNOPSIS
      .B demo\\-tool
      [flags] IN
      .SH DESCRIPTION
      Shows flags. All of them.
      .SH OPTIONS
      .SS Files
      .TP
      \\fB\\-\\-path\\fR \\fIFILE\\fR
      \\&.dots, \\(aqquotes\\(aq, \\(dqmore\\(dq, back\\eslashes, \\(ti/x\\(hay and \\(gaticks\\(ga

      """
    let page = spec.manualPage()
    #expect(page.hasPrefix(expected))
    #expect(page.contains(".SH KINDS\n.nf\n  a    b\n\\&.x\n.fi\n.SH EXIT STATUS\n"))
    #expect(page.hasSuffix(".SH EXAMPLES\n.nf\ndemo\\-tool \\-\\-path=a\n.fi\n"))
  }

  /// What bash itself offers, by the script and for words the last of which is unfinished.
  private func offered(_ words: String...) throws -> Set<String> {
    let folder = TemporaryFolder.make()
    try Files.write(Array(flags.spec().bashCompletion().utf8), to: "\(folder)/demo")
    for name in ["model one.gguf", "model two.gguf"] { try Files.write([], to: "\(folder)/\(name)") }
    let quoted = words.map { "'\($0)'" }.joined(separator: " ")
    let script = """
      cd \(folder) && . ./demo
      COMP_WORDS=(demo \(quoted)) COMP_CWORD=\(words.count)
      _demo && printf '%s\\n' "${COMPREPLY[@]}" > out
      """
    try Files.write(Array(script.utf8), to: "\(folder)/script")
    #expect(system("bash \(folder)/script") == 0)
    return Set(String(decoding: try Files.read("\(folder)/out"), as: UTF8.self).split(separator: "\n").map(String.init))
  }

  @Test(.enabled(if: Locations.isCI || system("command -v bash >/dev/null") == 0)) func bashCompletion() throws {
    #expect(try offered("--mo") == ["--model"])
    #expect(try offered("-m", "x", "--ver") == ["--version", "--verbose"])
    #expect(try offered("-ctk", "") == ["red", "green"])
    #expect(try offered("--cache-type-k", "=", "g") == ["green"])
    #expect(try offered("--cache-type-k", "=") == ["red", "green"])
    #expect(try offered("-m", "model") == ["model one.gguf", "model two.gguf"])
    #expect(try offered("--model", "=", "model o") == ["model one.gguf"])
    #expect(try offered("model t") == ["model two.gguf"])
    #expect(try offered("-n", "m") == [])
    #expect(try offered("-sys", "m") == [])
  }
}
