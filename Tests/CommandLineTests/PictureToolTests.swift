import OccamCore
import OccamTestSupport
import Testing

/// occam-run's flags about pictures and escapes, as users give them.
@Suite(.enabled(if: BuiltTool.areBuilt, BuiltTool.reason)) struct PictureToolTests {
  private func run(_ arguments: String...) throws -> ToolResult {
    try BuiltTool.run("occam-run", try DemoModel.flags() + arguments)
  }

  private func answer(_ arguments: String..., location: SourceLocation = #_sourceLocation) throws -> String {
    let flags = ["-n", "8", "--temp", "0", "--ignore-eos"]
    let result = try BuiltTool.run("occam-run", try DemoModel.flags() + arguments + flags)
    #expect(result.code == 0, "\(result.error)", sourceLocation: location)
    return result.text
  }

  /// Tokens of the prompt, from --json.
  private func promptTokens(_ arguments: String...) throws -> Int {
    let result = try BuiltTool.run("occam-run", try DemoModel.flags() + arguments + ["-n", "1", "--json"])
    #expect(result.code == 0, "\(result.error)")
    return try #require(try result.objects.last?["prompt_tokens"]?.intValue)
  }

  // MARK: Escapes

  @Test func escapesAreProcessedUnlessTurnedOff() throws {
    let file = try DemoModel.file("lines.txt", "one\ntwo\tthree".utf8)
    let lines = try answer("-f", file)
    let escaped = #"one\ntwo\tthr\x65e"#
    #expect(try answer("-p", escaped) == lines)
    #expect(try answer("-e", "-p", escaped) == lines)
    #expect(try answer("--escape", "-p", escaped) == lines)
    // As they are: the backslashes are tokens of their own.
    let literal = try promptTokens("--no-escape", "-p", escaped)
    #expect(try literal > promptTokens("-p", escaped))
    let same = try DemoModel.file("literal.txt", escaped.utf8)
    #expect(try answer("--no-escape", "-p", escaped) == answer("-f", same))
  }

  // MARK: Damage

  @Test func damagedPhotosAreShownWithAWarningOrRefused() throws {
    let bytes = try Files.read(DemoModel.photo)
    let half = try DemoModel.file("half.jpg", bytes.prefix(bytes.count / 2))
    let shown = try run("--image", half, "-p", "x", "-n", "2")
    #expect(shown.code == 0 && !shown.text.isEmpty)
    let warnings = shown.error.split(separator: "\n").filter { $0.contains("half.jpg") && $0.contains("truncated") }
    #expect(warnings.count == 1, "\(shown.error)")
    let refused = try run("--image", half, "-p", "x", "-n", "2", "--strict-images")
    #expect(refused.code == 1 && refused.text == "")
    #expect(refused.error.contains("half.jpg") && refused.error.contains("truncated"), "\(refused.error)")
    // A sound photo is neither warned about nor refused.
    let sound = try run("--image", DemoModel.photo, "-p", "x", "-n", "2", "--strict-images", "-q")
    #expect(sound.code == 0 && !sound.error.contains("cat.jpg"), "\(sound.error)")
  }

  // MARK: Transparency

  /// A colour behind transparent pixels is what the model sees: the keep map shows it.
  @Test func transparentPixelsTakeTheBackground() throws {
    let clear = "\(Locations.goldens)/images/alpha-even.webp"
    func map(_ background: String...) throws -> [UInt8] {
      let path = "\(TemporaryFolder.make())/map.png"
      let flags = ["--image", clear, "-p", "x", "-n", "1", "--keep-map", path, "--lambda1", "0", "--lambda2", "0"]
      let result = try BuiltTool.run("occam-run", try DemoModel.flags() + flags + background)
      #expect(result.code == 0, "\(result.error)")
      return try Files.read(path)
    }
    let white = try map()
    #expect(try map("--background", "white") == white && map("--background", "#fff") == white)
    let red = try map("--background", "255,0,0")
    #expect(red != white)
    #expect(try map("--background", "#ff0000") == red)
    #expect(try map("--background", "black") != white)
    let wrong = try run("--image", clear, "-p", "x", "--background", "256,0,0")
    #expect(wrong.code == 2 && wrong.text == "")
    #expect(wrong.error.contains("--background 256,0,0"), "\(wrong.error)")
  }

  // MARK: Formats

  @Test(arguments: ["alpha-odd.webp", "animated-lossy.webp", "256-odd.gif", "24-odd.bmp", "baseline-420-odd.jpg"])
  func formatsAreToldByContent(name: String) throws {
    let original = "\(Locations.goldens)/images/\(name)"
    let renamed = try DemoModel.file("renamed.png", try Files.read(original))
    let text = try answer("--image", original, "-p", "What is this?")
    #expect(!text.isEmpty)
    #expect(try answer("--image", renamed, "-p", "What is this?") == text)
  }

  @Test func formatsThatAreNotDecodedAreNamed() throws {
    let heic = [0, 0, 0, 24] as [UInt8] + Array("ftypheic".utf8) + [0, 0, 0, 0] + Array("mif1heic".utf8)
    let result = try run("--image", try DemoModel.file("photo.jpg", heic), "-p", "x", "-n", "1")
    #expect(result.code == 1 && result.text == "")
    for part in ["photo.jpg", "HEIF (HEIC)", "JPEG, PNG, WebP, GIF and BMP"] {
      #expect(result.error.contains(part), "\(result.error)")
    }
  }

  // MARK: Prompts with and without pictures

  @Test func anEmptyPromptAboutAPhotoIsAnswered() throws {
    #expect(try !answer("--image", DemoModel.photo, "-p", "").isEmpty)
    #expect(try promptTokens("--image", DemoModel.photo, "-p", "") > 576)
  }

  @Test(arguments: ["demo", "smolvlm-a", "gemma3-a", "next-a", "internvl-b"])
  func aModelThatSeesAnswersTextAlone(name: String) throws {
    let files = try Fixture.make(name, "Q8_0")
    let result = try BuiltTool.run(
      "occam-run", ["-m", files.text, "-mm", files.projector, "-p", "Hello", "-n", "3", "--ignore-eos", "--json"])
    #expect(result.code == 0, "\(result.error)")
    let summary = try result.objects.last
    #expect(summary?["generated_tokens"]?.intValue == 3 && summary?["prompt_tokens"]?.intValue ?? 0 < 60)
  }

  // MARK: Plans

  /// Visual tokens of the very picture, from its header: the rest of the file is not there.
  @Test func plansReadThePicturesHeader() throws {
    let files = try Fixture.make("smolvlm-a", "Q8_0")
    func plan(_ images: String..., location: SourceLocation = #_sourceLocation) throws -> String {
      let result = try BuiltTool.run(
        "occam-run", ["-m", files.text, "-mm", files.projector, "--dry-run"] + images.flatMap { ["--image", $0] })
      #expect(result.code == 0, "\(result.error)", sourceLocation: location)
      // What memory is free just now is no part of the plan.
      return String(
        result.text.prefix(upTo: result.text.ranges(of: "available here").first?.lowerBound ?? result.text.endIndex))
    }
    // 3 x 3 tiles and an overview of 16 tokens for a square; the cat's picture is wider than high.
    #expect(try plan().contains("(160 visual + "))
    let bytes = try Files.read("\(Locations.photos)/cat.png")
    let header = try DemoModel.file("header.png", bytes.prefix(bytes.count / 2))
    let one = try plan(header)
    #expect(try one == plan("\(Locations.photos)/cat.png"))
    let numbers = try #require(one.firstMatch(of: /\((\d+) visual \+/)).1
    #expect(try plan(header, header).contains("(\(2 * (Int(numbers) ?? 0)) visual + "))
    let none = try BuiltTool.run(
      "occam-run", ["-m", files.text, "-mm", files.projector, "--dry-run", "--image", "/nowhere/photo.png"])
    #expect(none.code == 1 && none.error.contains("/nowhere/photo.png"))
  }
}
