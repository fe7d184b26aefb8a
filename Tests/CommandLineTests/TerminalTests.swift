import Glibc
import OccamCore
import OccamTestSupport
import Testing

/// occam-run and its sisters on a terminal, and Ctrl-C wherever it may come.
@Suite(.enabled(if: BuiltTool.areBuilt, BuiltTool.reason)) struct TerminalTests {
  private func chat(_ arguments: String...) throws -> TerminalProcess {
    try TerminalProcess("occam-run", try DemoModel.flags() + arguments)
  }

  @Test func aChat() throws {
    let chat = try chat("--temp", "0", "-n", "5")
    try chat.expect("/quit ends\r\n> ")
    chat.type("\n")
    try chat.expect("> ")
    chat.type("/image none.jpg\n")
    try chat.expect("cannot open 'none.jpg'")
    chat.type("/image\n")
    try chat.expect("/image needs the name of a file")
    chat.type("/image '\(DemoModel.photo)'\n")
    try chat.expect("goes with the next question")
    try chat.expect("> ")
    chat.type("What is this?\n")
    try chat.expect("image tokens 576 -> ")
    try chat.expect("> ")
    // Nothing is encoded again for the second question.
    chat.type("And now?\n")
    try chat.expect("image tokens 576 -> ")
    let second = try #require(chat.text.ranges(of: "And now?").first)
    #expect(!chat.text[second.upperBound...].contains("encode "))
    try chat.expect("> ")
    chat.type("/clear\n")
    try chat.expect("> ")
    chat.type("Hello\n")
    try chat.expect("first token")
    let third = try #require(chat.text.ranges(of: "Hello").last)
    #expect(!chat.text[third.upperBound...].contains("image tokens"))
    try chat.expect("> ")
    chat.type("/nonsense\n")
    try chat.expect("unknown command /nonsense")
    chat.type("/quit\n")
    #expect(chat.wait() == 0)
  }

  /// Pages of alternatives that nobody reads hold the reply up until the test has typed Ctrl-C.
  @Test func interruptedRepliesReturnToThePrompt() throws {
    let chat = try chat("--json", "--logprobs", "900", "--ignore-eos", "--image", DemoModel.photo)
    try chat.expect("> ")
    chat.type("Tell me\n")
    try chat.expect("{\"type\":\"token\"")
    chat.type("\u{3}")
    try chat.expect("\"stop\":\"cancelled\"")
    try chat.expect("occam-run: interrupted")
    try chat.expect("> ")
    chat.type("\u{4}")
    #expect(chat.wait() == 0)
  }

  @Test func ctrlCAtThePromptEndsTheProgram() throws {
    let chat = try chat()
    try chat.expect("> ")
    chat.type("\u{3}")
    try chat.expect("occam-run: interrupted")
    #expect(chat.wait() == 130)
  }

  @Test func aTerminalSeesBarsThatFit() throws {
    let run = try chat("--image", DemoModel.photo, "-p", "What is this?", "-n", "3")
    #expect(run.wait() == 0)
    let bars = run.text.split(separator: "\r").filter { $0.contains("[") && $0.contains("%") }
    for step in ["loading [", "encoding image [", "prefill of "] {
      #expect(bars.contains { $0.contains(step) }, "\(run.text.debugDescription)")
    }
    #expect(bars.allSatisfy { $0.hasPrefix("\u{1B}[K") && $0.count - 3 < 80 })
  }

  // MARK: Ctrl-C without a terminal

  /// Before the model is loaded, and while it is: the same handler.
  @Test func whileReading() throws {
    for tool in ["occam-run", "occam-calibrate"] {
      let ends = try Pipe()
      defer { close(ends.writing) }
      let arguments =
        try tool == "occam-run"
        ? DemoModel.flags() + ["-p", "-"] : DemoModel.flags() + ["--images", Locations.photos, "--questions", "-"]
      let process = try ToolProcess(tool, arguments, input: .descriptor(ends.reading))
      close(ends.reading)
      // More than a pipe holds: when it is written, the tool reads.
      let bytes = [UInt8](repeating: 120, count: 1 << 18)
      var written = 0
      while written < bytes.count {
        let count = bytes[written...].withUnsafeBytes { write(ends.writing, $0.baseAddress, $0.count) }
        try #require(count > 0)
        written += count
      }
      process.interrupt()
      #expect(process.wait() == 130)
      #expect(process.error == "\(tool): interrupted\n")
      #expect(process.output.isEmpty)
    }
  }

  @Test func whileEncoding() throws {
    let photos = Array(repeating: ["--image", DemoModel.photo], count: 400).flatMap { $0 }
    // Photos that the context cannot hold would be refused before one is encoded.
    let flags = try DemoModel.flags(changing: .text) { try $0.setKey("llama.context_length", to: 1 << 20) }
    let process = try ToolProcess("occam-run", flags + photos + ["-p", "x", "-t", "1"])
    try process.waitForError("encoding image 1/400: ")
    process.interrupt()
    #expect(process.wait() == 130)
    #expect(process.error.hasSuffix("occam-run: interrupted\n"))
    #expect(process.output.isEmpty)
  }

  @Test(arguments: [false, true]) func whileDecoding(isJSON: Bool) throws {
    let ends = try Pipe()
    defer { close(ends.reading) }
    // A pipe of one page, so that plain text holds the writer up as well; the context would be full after it.
    _ = fcntl(ends.writing, 1031, 4096)  // F_SETPIPE_SZ
    let output = isJSON ? ["--json", "--logprobs", "900"] : []
    let process = try ToolProcess(
      "occam-run", try DemoModel.flags() + ["-p", "Tell me", "--ignore-eos"] + output, output: .descriptor(ends.writing)
    )
    close(ends.writing)
    var text: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1)
    #expect(read(ends.reading, &chunk, 1) == 1)
    text += chunk
    process.interrupt()
    chunk = [UInt8](repeating: 0, count: 4096)
    while case let count = read(ends.reading, &chunk, chunk.count), count > 0 { text += chunk[..<count] }
    #expect(process.wait() == 130)
    #expect(process.error.hasSuffix("occam-run: interrupted\n"))
    // What was said stays said.
    #expect(text.last == 10)
    if isJSON {
      let lines = try String(decoding: text, as: UTF8.self).split(separator: "\n").map {
        try JSONValue(parsing: String($0))
      }
      #expect(lines.count > 1 && lines.last?["stop"]?.stringValue == "cancelled")
    }
  }
}
