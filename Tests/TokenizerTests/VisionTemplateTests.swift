import OccamCore
import OccamTokenizer
import Testing

/// Templates with the features of vision-language models' own, against jinja2 (Tests/Goldens/templates/make_vision.py).
@Suite struct VisionTemplateTests {
  struct Case {
    let name: String
    let source: String
    let image: String
    let messages: JSONValue
    let strings: JSONValue
    let prompt: Bool
    let expectedParts: String?
    let expectedStrings: String?
  }

  static func cases() throws -> [Case] {
    let golden = try JSONValue(parsing: try Files.read("\(ChatTemplateGoldenTests.folder)/vision.json"))
    return try #require(golden["cases"]?.arrayValue).map { entry in
      let name = try #require(entry["template"]?.stringValue)
      let title = try #require(entry["conversation"]?.stringValue)
      let conversation = try #require(golden["conversations"]?[title])
      return Case(
        name: "\(name) / \(title)", source: try #require(golden["templates"]?[name]?["source"]?.stringValue),
        image: try #require(golden["templates"]?[name]?["image"]?.stringValue),
        messages: try #require(conversation["parts"]), strings: try #require(conversation["strings"]),
        prompt: entry["prompt"] == .bool(true), expectedParts: entry["parts"]?.stringValue,
        expectedStrings: entry["strings"]?.stringValue)
    }
  }

  static func turns(_ messages: JSONValue) -> [ChatMessage] {
    (messages.arrayValue ?? []).map { message in
      ChatMessage(
        role: message["role"]?.stringValue ?? "",
        content: (message["content"]?.arrayValue ?? []).map { part in
          part["text"]?.stringValue.map { .text($0) } ?? .image
        })
    }
  }

  @Test func rendersAsJinja() throws {
    let cases = try VisionTemplateTests.cases()
    #expect(cases.count == 110)
    for entry in cases {
      for (messages, expected) in [
        (entry.messages, entry.expectedParts), (entry.strings, entry.expectedStrings),
      ] {
        let rendered = try? ChatTemplate(entry.source).render(
          [
            "messages": messages, "add_generation_prompt": .bool(entry.prompt), "bos_token": "<s>",
            "eos_token": "</s>",
          ], now: 1_700_049_600)
        #expect(rendered.map { Array($0.utf8) } == expected.map { Array($0.utf8) }, "\(entry.name)")
      }
    }
  }

  /// The pieces joined are what jinja2 renders; what was typed is text, what the template wrote is not, and only what
  /// the template wrote for an image is one.
  @Test func segmentsKnowTheirOrigin() throws {
    var compared = 0
    for entry in try VisionTemplateTests.cases() {
      let turns = VisionTemplateTests.turns(entry.messages)
      let format = try ChatFormat(template: entry.source, bosToken: "<s>", eosToken: "</s>")
      let literals = ["<image>", "<start_of_image>", "<|image_pad|>", "<|image|>", "<IMG_CONTEXT>", "[IMG]"]
      let segments = try format.segments(
        messages: turns, addGenerationPrompt: entry.prompt, imageLiterals: literals)
      var joined = ""
      var typed = ""
      var images: [Int] = []
      for segment in segments {
        switch segment {
        case .template(let text):
          #expect(text.firstRange(of: "☃") == nil && !text.isEmpty, "\(entry.name): \(text)")
          joined += text
        case .text(let text):
          joined += text
          typed += text
        case .image(let index):
          images.append(index)
          joined += entry.image
        }
      }
      let count = turns.reduce(0) { $0 + $1.content.count { $0 == .image } }
      #expect(images == Array(0..<count), "\(entry.name)")
      let said = turns.flatMap(\.content).reduce("") { if case .text(let text) = $1 { $0 + text } else { $0 } }
      #expect(typed.count { $0 == "☃" } >= 1 && said.count { $0 == "☃" } >= typed.count { $0 == "☃" })
      for name in ["</s>", "<|im_end|>", "<__media__>", "[IMG]", "<|image_pad|>"] where said.contains(name) {
        #expect(typed.contains(name), "\(entry.name): \(name)")
      }
      let expected = [entry.expectedParts, entry.expectedStrings].compactMap { $0 }
      if expected.isEmpty { continue }
      compared += 1
      // The goldens' clock stands still, that of a prompt does not.
      if entry.source.firstRange(of: "strftime_now") != nil { continue }
      #expect(expected.contains { $0.utf8.elementsEqual(joined.utf8) }, "\(entry.name): \(joined)")
    }
    #expect(compared >= 100)
  }

  @Test(arguments: [
    ("idefics3", true), ("gemma3", true), ("llava-next-mistral", true), ("qwen35", true), ("gemma4", true),
    ("roles", false),
  ]) func branchesForImagesAreFound(name: String, isNative: Bool) throws {
    let entry = try #require(try VisionTemplateTests.cases().first { $0.name == "\(name) / image" })
    let format = try ChatFormat(template: entry.source)
    let turns = VisionTemplateTests.turns(entry.messages)
    do {
      _ = try format.segments(messages: turns, addGenerationPrompt: true, imageLiterals: ["<nothing>"])
      #expect(!isNative)
    } catch {
      #expect(isNative && error.kind == .images && error.line == 0)
      #expect(error.description.contains("0 image placeholders ('<nothing>') for 1 images"))
    }
  }
}
