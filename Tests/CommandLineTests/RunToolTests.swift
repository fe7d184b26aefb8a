import Glibc
import OccamCore
import OccamTestSupport
import Testing

/// occam-run as its users run it: every flag, what goes to stdout and what to stderr, and the lines of --json.
@Suite(.enabled(if: BuiltTool.areBuilt, BuiltTool.reason)) struct RunToolTests {
  private func run(_ arguments: String..., input: [UInt8] = []) throws -> ToolResult {
    try BuiltTool.run("occam-run", try DemoModel.flags() + arguments, input: input)
  }

  private func succeed(
    _ arguments: String..., input: [UInt8] = [], location: SourceLocation = #_sourceLocation
  ) throws -> ToolResult {
    let result = try BuiltTool.run("occam-run", try DemoModel.flags() + arguments, input: input)
    #expect(result.code == 0, "\(result.error)", sourceLocation: location)
    return result
  }

  // MARK: Streams

  @Test func textGoesToStdoutAndTheRestToStderr() throws {
    let result = try succeed("--image", DemoModel.photo, "-p", "What is this?", "-n", "6", "--temp", "0")
    #expect(result.text.count > 6 && result.text.filter { $0 == "\n" }.count == 1 && result.text.hasSuffix("\n"))
    let lines = result.error.split(separator: "\n").map(String.init)
    for step in ["loading: ", "encoding image: ", "prefill of "] {
      #expect(lines.filter { $0.hasPrefix(step) && $0.hasSuffix(" s") }.count == 1, "\(result.error)")
    }
    #expect(!result.error.contains("\u{1B}") && !result.error.contains("\r"))
    let footer = try #require(lines.last)
    for part in [
      "image tokens 576 -> ", "encode ", " s", "prefill ", "decode ", " tok/s", "first token ", "KV ", "peak RSS ",
      " MiB",
    ] {
      #expect(footer.contains(part), "\(footer)")
    }
    let quiet = try succeed("-q", "-p", "Hello", "-n", "2")
    #expect(quiet.error == "")
    let unpruned = try succeed("--image", DemoModel.photo, "-p", "x", "-n", "2", "--prune", "off")
    #expect(unpruned.error.contains("image tokens 576 |"))
  }

  @Test func theProjectorBesideTheModelIsFoundAndNamed() throws {
    let files = try Fixture.make("demo", "F16")
    let arguments = ["-m", files.text, "--image", DemoModel.photo, "-p", "x", "-n", "1"]
    let result = try BuiltTool.run("occam-run", arguments)
    #expect(result.code == 0)
    #expect(result.error.contains("using projector \(files.projector)"))
    let fused = try Fixture.makeFused("demo", "F16")
    let alone = try BuiltTool.run("occam-run", ["-m", fused, "--image", DemoModel.photo, "-p", "x", "-n", "1"])
    #expect(alone.code == 0)
    #expect(!alone.error.contains("using projector"))
  }

  @Test func promptsComeFromFlagFileAndStandardInput() throws {
    let words = "What is this?"
    let path = try DemoModel.file("question.txt", (words + "\r\n").utf8)
    let flag = try succeed("-p", words, "-n", "8", "--temp", "0").text
    #expect(try succeed("-f", path, "-n", "8", "--temp", "0").text == flag)
    #expect(try succeed("-p", "-", "-n", "8", "--temp", "0", input: Array((words + "\n").utf8)).text == flag)
    #expect(try succeed("-sys", "Be brief.", "-p", words, "-n", "8", "--temp", "0").text != flag)
    #expect(try succeed("--raw", "-p", words, "-n", "8", "--temp", "0").text != flag)
    let photo = try succeed("--image", DemoModel.photo, "-p", words, "-n", "8", "--temp", "0").text
    let bytes = try Files.read(DemoModel.photo)
    #expect(try succeed("--image", "-", "-p", words, "-n", "8", "--temp", "0", input: bytes).text == photo)
  }

  @Test func rawPromptsPlaceTheirImages() throws {
    let question = "USER: <__media__>\nWhat is this? ASSISTANT:"
    let result = try succeed("--raw", "--image", DemoModel.photo, "-p", question, "-n", "3", "--json")
    let objects = try result.objects
    let summary = try #require(objects.last)
    #expect(summary["prompt_tokens"]?.intValue ?? 0 > 576)
  }

  // MARK: Speculative decoding

  @Test func guessesChangeNothingButTheirCounts() throws {
    let question = ["-p", String(repeating: "a cup and a cat and ", count: 5), "-n", "40", "--ignore-eos"]
    func ask(_ more: [String]) throws -> (text: String, summary: JSONValue) {
      let result = try BuiltTool.run("occam-run", try DemoModel.flags() + question + more + ["--json", "-s", "5"])
      #expect(result.code == 0, "\(result.error)")
      let objects = try result.objects
      return (objects.dropLast().compactMap { $0["text"]?.stringValue }.joined(), try #require(objects.last))
    }
    let draft = try #require(try DemoModel.flags().dropFirst().first)
    for temperature in ["0", "0.6"] {
      let plain = try ask(["--temp", temperature])
      #expect(plain.summary["speculation"] == ["drafted": 0, "accepted": 0, "passes": 39])
      for more in [["--draft-lookup"], ["-md", draft, "--draft-p-min", "0", "--draft-max", "5"]] {
        let guessed = try ask(["--temp", temperature] + more)
        #expect(guessed.text == plain.text)
        let counts = try #require(guessed.summary["speculation"])
        let accepted = try #require(counts["accepted"]?.intValue)
        #expect(counts["drafted"]?.intValue ?? 0 > 0 && counts["passes"]?.intValue == 39 - accepted)
      }
    }
    let stranger = try Fixture.makeFiles("smolvlm-a", "Q8_0").text
    let refused = try run("-p", "a", "-md", stranger)
    #expect(refused.code != 0 && refused.error.contains(stranger) && refused.error.contains(draft))
    let plan = try succeed("--dry-run", "-md", draft)
    #expect(plan.text.contains("draft weights"))
  }

  // MARK: Sampling

  @Test func sampling() throws {
    let prompt = ["-p", "A photo of", "-n", "24"]
    func text(_ arguments: [String]) throws -> String {
      let result = try BuiltTool.run("occam-run", try DemoModel.flags() + prompt + arguments)
      #expect(result.code == 0, "\(result.error)")
      return result.text
    }
    let greedy = try text(["--temp", "0"])
    #expect(try text(["--top-k", "1", "--temp", "2"]) == greedy)
    #expect(try text(["--top-p", "0", "--top-k", "0", "--temp", "2"]) == greedy)
    #expect(try text(["--min-p", "1", "--temp", "2"]) == greedy)
    #expect(try text(["--temp", "0", "--repeat-penalty", "50"]) != greedy)
    let seeded = try text(["--temp", "2", "-s", "7"])
    #expect(try text(["--temp", "2", "--seed", "7", "-t", "1"]) == seeded)
    #expect(try text(["--temp", "2", "-s", "8"]) != seeded)
    #expect(try text(["--temp", "2"]) != (try text(["--temp", "2"])))
  }

  @Test func lengthsAndStops() throws {
    #expect(try succeed("-p", "x", "-n", "0").text == "")
    let whole = try succeed("-p", "A photo of", "-n", "12", "--temp", "0").text
    let words = whole.split(separator: " ")
    let stop = String(try #require(words.dropFirst(3).first))
    let cut = try #require(whole.range(of: stop))
    let stopped = try succeed("-p", "A photo of", "-n", "12", "--temp", "0", "-r", stop, "--json")
    #expect(try text(of: stopped) == String(whole[..<cut.lowerBound]))
    #expect(try stopped.objects.last?["stop"]?.stringValue == "stop")
  }

  // MARK: JSON

  private func text(of result: ToolResult) throws -> String {
    try result.objects.dropLast().compactMap { $0["text"]?.stringValue }.joined()
  }

  private func names(_ value: JSONValue?) -> [String] {
    if case .object(let members) = value { members.map(\.name) } else { [] }
  }

  @Test func jsonLinesHaveExactlyTheDocumentedFields() throws {
    let arguments = ["--image", DemoModel.photo, "-p", "What is this?", "-n", "5", "--temp", "0"]
    let flags = try DemoModel.flags()
    let plain = try BuiltTool.run("occam-run", flags + arguments).text
    let result = try BuiltTool.run("occam-run", flags + arguments + ["--json", "--logprobs", "3", "-s", "11"])
    #expect(result.code == 0)
    let objects = try result.objects
    #expect(objects.count == 6)
    for token in objects.dropLast() {
      #expect(names(token) == ["type", "id", "text", "logprob", "top"])
      #expect(token["type"]?.stringValue == "token")
      let top = try #require(token["top"]?.arrayValue)
      #expect(top.count == 3)
      #expect(top.allSatisfy { names($0) == ["id", "text", "logprob"] })
      // Greedy: the chosen token is the most probable one, and they come in order.
      #expect(top[0]["id"] == token["id"] && top[0]["logprob"] == token["logprob"])
      let values = top.compactMap { $0["logprob"]?.doubleValue }
      #expect(values == values.sorted(by: >) && values.allSatisfy { $0 <= 0 })
    }
    #expect(try text(of: result) + "\n" == plain)
    let summary = objects[5]
    #expect(
      names(summary) == [
        "type", "stop", "prompt_tokens", "generated_tokens", "speculation", "timings", "pruning", "memory",
        "mean_visual_tokens_per_layer", "kernel", "threads", "seed",
      ])
    #expect(summary["stop"]?.stringValue == "length" && summary["generated_tokens"]?.intValue == 5)
    #expect(summary["seed"]?.intValue == 11)
    #expect(
      names(summary["timings"]) == [
        "load_ms", "image_decode_ms", "image_encode_ms", "prefill_ms", "ttft_ms", "decode_ms", "prefill_tokens_per_s",
        "decode_tokens_per_s",
      ])
    #expect(names(summary["memory"]) == ["kv_bytes", "kv_bytes_unpruned", "weights_bytes", "peak_rss_bytes"])
    let image = try #require(summary["pruning"]?.arrayValue?.first)
    #expect(
      names(image) == [
        "image", "total", "stage1", "kept", "lambda1", "lambda2", "layer", "reference", "kept_indices",
      ])
    let kept = (image["kept_indices"]?.arrayValue ?? []).compactMap(\.intValue)
    #expect(kept.count == image["kept"]?.intValue && kept == Array(Set(kept)).sorted())
    #expect(kept.allSatisfy { (0..<576).contains($0) })
    #expect(image["reference"]?.stringValue == "mean")
  }

  @Test func everyTokenHasALine() throws {
    for seed in 1...4 {
      let result = try succeed(
        "-p", "Hello", "-n", "200", "--temp", "3", "--top-k", "0", "--min-p", "0", "--top-p", "1", "-s", "\(seed)",
        "--json")
      let objects = try result.objects
      #expect(objects.count - 1 == objects.last?["generated_tokens"]?.intValue)
      #expect(objects.dropLast().allSatisfy { ($0["id"]?.intValue ?? -1) >= 0 && $0["top"] == nil })
      let plain = try succeed(
        "-p", "Hello", "-n", "200", "--temp", "3", "--top-k", "0", "--min-p", "0", "--top-p", "1", "-s", "\(seed)")
      #expect(try text(of: result) + "\n" == plain.text)
    }
  }

  @Test func severalImages() throws {
    let map = "\(TemporaryFolder.make())/map.png"
    let result = try succeed(
      "--image", DemoModel.photo, "--image", DemoModel.photo, "--image", "\(Locations.photos)/cup.png", "-p", "Compare",
      "-n", "2",
      "--json", "--keep-map", map)
    let objects = try result.objects
    let images = try #require(objects.last?["pruning"]?.arrayValue)
    #expect(images.map { $0["image"]?.intValue } == [0, 1, 2])
    let folder = map.dropLast("/map.png".count)
    #expect(Files.list(String(folder)) == ["map-2.png", "map-3.png", "map.png"])
    #expect(result.error.contains("encoding image 3/3: "))
  }

  // MARK: Pruning

  @Test func pruningFlags() throws {
    func summary(_ arguments: String...) throws -> JSONValue {
      let flags =
        try DemoModel.flags() + ["--image", DemoModel.photo, "-p", "What is this?", "-n", "1", "--json", "--temp", "0"]
      let result = try BuiltTool.run("occam-run", flags + arguments)
      #expect(result.code == 0, "\(result.error)")
      let objects = try result.objects
      return try #require(objects.last)
    }
    func image(_ summary: JSONValue) -> JSONValue? { summary["pruning"]?.arrayValue?.first }
    let usual = try summary()
    let off = try summary("--prune", "off")
    #expect(off["pruning"] == [])
    #expect(off["memory"]?["kv_bytes"] == off["memory"]?["kv_bytes_unpruned"])
    #expect(off["mean_visual_tokens_per_layer"]?.doubleValue == 576)
    #expect((usual["memory"]?["kv_bytes"]?.intValue ?? 0) < (off["memory"]?["kv_bytes"]?.intValue ?? 0))
    let everything = image(try summary("--lambda1", "0", "--lambda2", "0"))
    #expect(everything?["kept"]?.intValue == 576 && everything?["stage1"]?.intValue == 576)
    #expect(image(try summary("--max-visual-tokens", "7"))?["kept"]?.intValue == 7)
    #expect(image(try summary("--visual-budget", "9"))?["kept"]?.intValue == 9)
    #expect(image(try summary("--prune-layer", "2"))?["layer"]?.intValue == 2)
    let keeping = try summary("--kv-policy", "keep")
    #expect((keeping["memory"]?["kv_bytes"]?.intValue ?? 0) > (usual["memory"]?["kv_bytes"]?.intValue ?? 0))
    let small = try summary("-ctk", "q8_0", "--prune", "off")
    #expect(try summary("-ctv", "q8_0", "--prune", "off")["memory"] != nil)
    #expect((small["memory"]?["kv_bytes"]?.intValue ?? 0) < (off["memory"]?["kv_bytes"]?.intValue ?? 0))
    #expect(try summary("-t", "1")["threads"]?.intValue == 1)
  }

  // MARK: Asking instead of answering

  @Test func informationNeedsNoQuestion() throws {
    let files = try Fixture.make("demo", "F16")
    func output(_ arguments: String...) throws -> String {
      let result = try BuiltTool.run("occam-run", arguments)
      #expect(result.code == 0 && result.error == "", "\(result.error)")
      return result.text
    }
    #expect(try output("--version").hasPrefix("occam-run 0."))
    #expect(try output("--help-env").contains("OCCAM_THREADS"))
    let help = try output("-h")
    #expect(help.split(separator: "\n").allSatisfy { $0.count <= 80 })
    for flag in [
      "-m", "-mm", "--mmproj", "--image", "-p", "-f", "-sys", "-n", "-c", "--ctx-size", "-t", "--temp", "--top-k",
      "--top-p",
      "--min-p", "--repeat-penalty", "-s", "-ctk", "-ctv", "-v", "--version", "-h", "--prune", "--visual-budget",
      "--lambda1",
      "--lambda2", "--prune-layer", "--max-visual-tokens", "--kv-policy", "--keep-map", "--raw", "--json", "--logprobs",
      "--dry-run", "--inspect", "--help-env",
    ] {
      #expect(help.split { " ,\n".contains($0) }.contains(Substring(flag)), "\(flag) is not in the help")
    }
    let plan = try output("-m", files.text, "--dry-run", "--visual-budget", "40")
    for part in ["text weights", "vision weights", "KV cells", "(576 visual + 320 text tokens)", "(40 visual", "total"]
    {
      #expect(plan.contains(part), "\(plan)")
    }
    let text = try output("--inspect", files.text)
    #expect(text.contains("llama.block_count (uint32) = 3") && text.contains("blk.2.ffn_down.weight"))
    #expect(try output("--inspect", files.projector).contains("clip.projector_type (string) = \"mlp\""))
  }

  @Test func verboseNamesTheMachine() throws {
    let result = try succeed("-v", "-p", "x", "-n", "1", "-t", "2")
    #expect(result.error.contains("kernel ") && result.error.contains("2 threads"))
  }
}

extension String {
  fileprivate func range(of other: String) -> Range<String.Index>? { ranges(of: other).first }
}
