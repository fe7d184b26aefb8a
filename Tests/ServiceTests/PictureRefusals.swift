import Glibc
import Occam
import OccamCore
import OccamTestSupport
import Testing

extension ServiceDrills {
  /// Pictures that are none, or not the client's to see.
  @Suite(.serialized) struct PictureRefusals {
    private let service: ServiceUnderTest

    init() throws { service = try Drill.service() }

    private static func chat(_ url: String) -> JSONValue {
      let content: JSONValue = [
        ["type": "image_url", "image_url": ["url": .string(url)]], ["type": "text", "text": "What do you see?"],
      ]
      return ["messages": [["role": "user", "content": content]], "temperature": 0, "max_tokens": 40]
    }

    private func refusal(_ url: String, of service: ServiceUnderTest? = nil) throws -> String {
      let reply = try (service ?? self.service).post("/v1/chat/completions", PictureRefusals.chat(url))
      guard reply.status == 400 else { return "\(reply.status)" }
      #expect(reply.body.count < 2000)
      return try reply.json.text("error.message") ?? ""
    }

    @Test func addressesAndRubbishNameTheField() throws {
      let field = "'messages[0].content[0].image_url.url'"
      for (url, words) in [
        ("http://example.org/a.png", "web address"), ("https://169.254.169.254/latest", "web address"),
        ("ftp://example.org/a.png", "no data URL"), ("", "no data URL"), ("a.png", "no data URL"),
        ("data:", "without data"), ("data:image/png;base64,", "without data"),
        ("data:image/png;base64", "without data"),
        ("data:image/png,abc", "not base64"), ("data:;base64,####", "not valid base64"),
        ("data:image/png;base64,AAAAA", "not valid base64"), ("data:image/png;base64,AA=A", "not valid base64"),
        ("data:image/png;base64,A===", "not valid base64"), ("data:image/png;base64,AAAA\u{E9}", "not valid base64"),
        ("file:///etc/passwd", "--media-path"), (String(repeating: "x", count: 1_000_000), "no data URL"),
      ] {
        let message = try refusal(url)
        #expect(message.contains(field) && message.contains(words), "\(url.prefix(60)): \(message)")
      }
    }

    /// A file's name is short, and may stand in a request many times.
    @Test func manyPicturesAreRefusedBeforeTheyAreRead() throws {
      let folder = TemporaryFolder.make()
      try Files.write([UInt8](repeating: 0, count: 1000), to: "\(folder)/a.png")
      try Files.write([0], to: "\(folder)/sparse.png")
      #expect(truncate("\(folder)/sparse.png", 81 << 20) == 0)
      let service = try ServiceUnderTest(try Drill.model()) { $0.mediaPath = folder }
      let url = JSONValue.string("file://\(folder)/a.png")
      let part: JSONValue = ["type": "image_url", "image_url": ["url": url]]
      let many: JSONValue = [["role": "user", "content": .array(Array(repeating: part, count: 2049))]]
      let reply = try service.post("/v1/chat/completions", ["messages": many])
      #expect(reply.status == 400 && reply.text.contains("more than 2048 pictures"), "\(reply.text)")
      #expect(try refusal("file://\(folder)/sparse.png", of: service).contains("more than 80 MiB"))
    }

    @Test func whatIsNoSoundPictureIsRefusedBeforeItTakesASlot() throws {
      let png = try Drill.question().bytes()
      let requests = try service.metric("occam:requests_total")
      var files: [[UInt8]] = [Array("hello, world".utf8), Array(png[..<8]), Array(png[..<20]), [0]]
      // Heads that promise more than any memory holds.
      for side in [20_000, 100_000, Int(Int32.max)] {
        files.append(Pictures.bmpHead(width: side, height: side) + [UInt8](repeating: 0, count: 100))
        files.append(Pictures.png(png, claiming: side))
      }
      files.append(Array("GIF89a".utf8) + [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0x3B])
      for file in files {
        let message = try refusal("data:image/png;base64,\(Drill.base64(file))")
        #expect(message.contains("messages[0].content[0].image_url.url"), "\(file.prefix(24)): \(message)")
      }
      #expect(try service.metric("occam:requests_total") == requests)
    }

    /// Half a picture has a sound head: whatever is said of it, the session goes on.
    @Test func damagedPicturesHarmNobody() throws {
      let question = try Drill.question()
      let expected = try service.answer("/v1/chat/completions", try question.chat())
      let png = try question.bytes()
      for count in stride(from: 60, to: png.count, by: max(png.count / 12, 1)) {
        let reply = try service.post(
          "/v1/chat/completions", PictureRefusals.chat("data:image/png;base64,\(Drill.base64(Array(png[..<count])))"))
        #expect([200, 400].contains(reply.status), "\(count) of \(png.count) bytes: \(reply.text)")
      }
      var generator = SeededGenerator(seed: 4)
      for _ in 0..<40 {
        var file = png
        for _ in 0..<4 {
          file[Int(generator.next() % UInt64(file.count))] = UInt8(truncatingIfNeeded: generator.next())
        }
        let reply = try service.post(
          "/v1/chat/completions", PictureRefusals.chat("data:image/png;base64,\(Drill.base64(file))"))
        #expect([200, 400].contains(reply.status), "\(reply.text)")
      }
      let after = try service.answer("/v1/chat/completions", try question.chat())
      #expect(after.text("choices.0.message.content") == expected.text("choices.0.message.content"))
    }

    @Test func filesBelowTheMediaPathAreReadAndNoOthers() throws {
      let (folder, outside) = (TemporaryFolder.make(), TemporaryFolder.make())
      let question = try Drill.question()
      let png = try question.bytes()
      for path in ["\(folder)/a b.png", "\(folder)/gr\u{FC}n.png", "\(folder)/plain.png", "\(outside)/secret.png"] {
        try Files.write(png, to: path)
      }
      mkdir("\(folder)/sub", 0o700)
      try Files.write(png, to: "\(folder)/sub/100%.png")
      try Files.write(Array("no picture".utf8), to: "\(folder)/text.png")
      symlink("plain.png", "\(folder)/inner.png")
      symlink("\(outside)/secret.png", "\(folder)/link.png")
      symlink(outside, "\(folder)/way")
      mkfifo("\(folder)/pipe.png", 0o600)
      let service = try ServiceUnderTest(try Drill.model()) { $0.mediaPath = folder }
      let expected = try service.answer("/v1/chat/completions", PictureRefusals.chat(try question.url()))
        .text("choices.0.message.content")
      for url in [
        "file://\(folder)/plain.png", "file://localhost\(folder)/plain.png", "file://plain.png",
        "file://\(folder)/a%20b.png", "file://\(folder)/a b.png", "file://\(folder)/gr%C3%BCn.png",
        "file://\(folder)/sub/100%25.png", "file://\(folder)/sub/../inner.png", "file://sub/100%25.png",
        "file://\(folder)/%70lain.png",
      ] {
        let reply = try service.post("/v1/chat/completions", PictureRefusals.chat(url))
        #expect(reply.status == 200, "\(url): \(reply.text)")
        #expect(try reply.json.text("choices.0.message.content") == expected, "\(url)")
      }
      let sibling = String(outside.split(separator: "/").last ?? "")
      for url in [
        "file://\(outside)/secret.png", "file://\(folder)/../\(sibling)/secret.png", "file://../\(sibling)/secret.png",
        "file://%2e%2e/\(sibling)/secret.png", "file://..%2F\(sibling)%2Fsecret.png", "file://\(folder)/link.png",
        "file://\(folder)/way/secret.png", "file://link.png", "file:///etc/passwd", "file://", "file:///",
        "file://\(folder)", "file://\(folder)/", "file://\(folder)/sub", "file://\(folder)/pipe.png",
        "file://\(folder)/none.png", "file:///dev/zero", "file:///proc/self/environ",
      ] {
        let message = try refusal(url, of: service)
        #expect(message.contains("names no file below the media path"), "\(url): \(message)")
      }
      for url in ["file://plain.png%00.txt", "file://plain.png\u{0}", "file://a%2", "file://a%zz", "file://%ff"] {
        #expect(try refusal(url, of: service).contains("percent-encoded"), "\(url)")
      }
      #expect(try refusal("file://text.png", of: service).contains("text.png"))
    }
  }
}
