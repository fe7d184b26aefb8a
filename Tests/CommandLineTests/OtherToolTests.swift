import Glibc
import OccamCore
import OccamTestSupport
import Testing

/// occam-bench and occam-calibrate as their users run them.
@Suite(.enabled(if: BuiltTool.areBuilt, BuiltTool.reason)) struct OtherToolTests {
  private func bench(_ arguments: String...) throws -> ToolResult {
    try BuiltTool.run("occam-bench", try DemoModel.flags() + arguments)
  }

  @Test func benchTables() throws {
    let usual = ["-p", "16", "-p", "32", "-n", "4", "-r", "2", "--image", DemoModel.photo]
    func output(_ format: String) throws -> ToolResult {
      let result = try BuiltTool.run("occam-bench", try DemoModel.flags() + usual + ["-o", format])
      #expect(result.code == 0, "\(result.error)")
      return result
    }
    let markdown = try output("md")
    for part in [
      "| pp16 ", "| pp32 ", "| tg4 ", " ± ", "| time to first token, ms ", "| KV cells, MiB ", "| peak RSS, MiB ",
      "| gain, times |",
    ] {
      #expect(markdown.text.contains(part), "\(markdown.text)")
    }
    // Once a process, not once a session.
    #expect(markdown.error.ranges(of: "no register neurons").count == 1, "\(markdown.error)")

    let csv = try output("csv").text.split(separator: "\n").map {
      $0.split(separator: ",", omittingEmptySubsequences: false)
    }
    #expect(csv.count == 1 + 3 + 9 && csv.allSatisfy { $0.count == csv[0].count })

    guard case .array(let rows) = try JSONValue(parsing: try output("json").text) else {
      Issue.record("not an array")
      return
    }
    #expect(rows.prefix(3).map { $0["test"]?.stringValue } == ["pp16", "pp32", "tg4"])
    #expect(
      rows.prefix(3).allSatisfy {
        ($0["tokens_per_s"]?.doubleValue ?? 0) > 0 && $0["tokens_per_s_stddev"]?.doubleValue != nil
      })
    let tokens = try #require(rows.first { $0["test"]?.stringValue == "visual_tokens" })
    #expect(tokens["unpruned"]?.doubleValue == 576 && (tokens["pruned"]?.doubleValue ?? 576) < 576)
  }

  /// The lines that bench/peers/llama_cpp.py reads.
  @Test func benchLines() throws {
    let result = try bench("-p", "16", "-n", "4", "-r", "2", "--image", DemoModel.photo, "-o", "jsonl")
    #expect(result.code == 0, "\(result.error)")
    let rows = try result.objects
    #expect(rows.map { $0["test"]?.stringValue } == ["load", "ttft", "encode", "pp16", "tg4", "ttft-pruned"])
    #expect(rows.map { $0["n"]?.intValue } == [1, 576, 576, 16, 4, 576])
    #expect(rows.map { ($0["bytes_per_token"]?.intValue ?? 0) > 0 } == [false, false, false, false, true, false])
    for row in rows {
      guard case .array(let seconds) = row["seconds"] else {
        Issue.record("no seconds")
        continue
      }
      #expect(seconds.count == (row["test"]?.stringValue == "load" ? 1 : 2))
      #expect(seconds.allSatisfy { ($0.doubleValue ?? 0) > 0 })
      #expect((row["rss"]?.intValue ?? 0) >= (row["rss_baseline"]?.intValue ?? .max))
    }
  }

  @Test func benchRefuses() throws {
    let demo = try DemoModel.flags()
    func refused(_ arguments: [String], _ code: Int32, _ part: String) throws {
      let result = try BuiltTool.run("occam-bench", arguments)
      #expect(result.code == code && result.text == "" && result.error.contains(part), "\(result.error)")
    }
    try refused([], 2, "--model is required")
    try refused(demo + ["--repetition", "3"], 2, "did you mean '--repetitions'?")
    try refused(demo + ["-p", "0", "-n", "0"], 2, "nothing to measure")
    try refused(demo + ["-o", "xml"], 2, "one of md, csv, json, jsonl")
    try refused(demo + ["-p", "4000", "-n", "0"], 1, "the context holds 2048")
    try refused(demo + ["--image", "none.jpg"], 1, "none.jpg")
    try refused(["-m", DemoModel.photo, "-p", "1"], 1, "cat.jpg")
    let lonely = try DemoModel.file("lonely.gguf", try Files.read(demo[1]))
    try refused(["-m", lonely, "--image", DemoModel.photo], 2, "--image needs a projector")
  }

  private func photos() throws -> String {
    let folder = TemporaryFolder.make()
    for name in ["cat.jpg", "cup.png"] {
      try Files.write(try Files.read("\(Locations.photos)/\(name)"), to: "\(folder)/\(name)")
    }
    return folder
  }

  @Test func calibrationIsFoundByTheRun() throws {
    let files = try Fixture.make("demo", "F16", seed: 77)
    let questions = try DemoModel.file("questions.txt", "What is this?\r\n\r\n   \r\n  Where is it? \r\n".utf8)
    let arguments = ["-m", files.text, "-mm", files.projector, "--images", try photos(), "--questions", questions]
    let both = try BuiltTool.run("occam-calibrate", arguments)
    #expect(both.text.contains("nats a token lost; mean: "), "\(both.text)")
    let result = try BuiltTool.run("occam-calibrate", arguments + ["--reference", "register"])
    #expect(result.code == 0, "\(result.error)")
    #expect(
      result.text.contains("2 images, 2 questions")
        || result.text.contains("images                2, 2 questions asked"))
    #expect(result.text.hasSuffix("written to \(files.projector).occam.json\n"))
    let sidecar = try JSONValue(
      parsing: String(decoding: try Files.read("\(files.projector).occam.json"), as: UTF8.self))
    #expect(sidecar["calibration"]?.stringValue == "2 images, 2 questions, 2 samples")
    let run = try BuiltTool.run(
      "occam-run",
      ["-m", files.text, "--image", DemoModel.photo, "-p", "x", "-n", "1", "--json", "-v", "--visual-budget", "30"])
    #expect(run.code == 0 && run.error.contains(", calibrated"), "\(run.error)")
    guard case .array(let images) = try run.objects.last?["pruning"] else {
      Issue.record("no pruning")
      return
    }
    #expect(images.first?["reference"]?.stringValue == "register")
  }

  @Test func calibrationRefuses() throws {
    let demo = try DemoModel.flags()
    let folder = try photos()
    let questions = try DemoModel.file("questions.txt", "What is this?\n".utf8)
    func refused(_ arguments: [String], _ code: Int32, _ part: String) throws {
      let result = try BuiltTool.run("occam-calibrate", demo + arguments)
      #expect(result.code == code && result.text == "" && result.error.contains(part), "\(result.error)")
    }
    try refused([], 2, "--questions is required")
    try refused(["--questions", questions], 2, "--images is required")
    let pairs = try DemoModel.file("pairs.jsonl", "{\"image\": \"none.jpg\"}\n".utf8)
    try refused(["--images", folder, "--questions", pairs], 1, "names its images itself")
    try refused(["--questions", pairs], 1, "pairs.jsonl: sample 1: \"question\" is missing")
    try refused(["--image", folder], 2, "did you mean '--images'?")
    try refused(["--images", "\(folder)/none", "--questions", questions], 1, "holds no picture")
    try refused(["--images", folder, "--questions", "\(folder)/none"], 1, "none")
    let blank = try DemoModel.file("blank.txt", " \n\n".utf8)
    try refused(["--images", folder, "--questions", blank], 1, "blank.txt: holds no question")
    let output = "\(folder)/none/side.json"
    try refused(["--images", folder, "--questions", questions, "-o", output], 1, "cannot write '\(output)'")
    try Files.write(Array("no photo".utf8), to: "\(folder)/bad.jpg")
    try refused(
      ["--images", folder, "--questions", questions, "-o", "\(folder)/s.json"], 1, "bad.jpg' is not an image")
    #expect(!Files.exists("\(folder)/s.json"))
  }
}
