import Glibc
import Occam
import OccamCore
import OccamTestSupport
import Testing

extension ServiceDrills {
  /// Requests of all kinds, for long, to a process of its own: other tests' memory is not the service's.
  @Suite(.serialized, .enabled(if: ServeProcess.isBuilt && !ServeProcess.isSanitized)) struct Memory {
    /// Requests of the long form; nil: as many as a minute holds.
    private static let soak = getenv("OCCAM_SOAK").flatMap { Int(String(cString: $0)) }

    @Test func memoryStaysWhatItWasAfterWarmingUp() throws {
      let process = try ServeProcess([
        "--image-cache", "1", "--queue", "64", "--metrics-compat", "--media-path", "\(Drill.scenes)/samples",
      ])
      let kinds = try SoakKind.all()
      let warmUp = Memory.soak.map { $0 / 6 } ?? 1200
      let asked = Memory.soak ?? 6000
      let first = try Memory.ask(process, kinds, from: 0, count: warmUp, seconds: Memory.soak == nil ? 20 : 3600)
      try Memory.settle(process)
      let (before, files, threads) = (try process.residentBytes(), process.openDescriptors(), process.threads())
      let second = try Memory.ask(
        process, kinds, from: first, count: asked - first, seconds: Memory.soak == nil ? 40 : 7200)
      try Memory.settle(process)
      let after = try process.residentBytes()
      print(
        "soak: \(first) requests to warm up, then \(second); resident \(before >> 10) KiB before, \(after >> 10) KiB "
          + "after; descriptors \(files) and \(process.openDescriptors()), threads \(threads) and \(process.threads())")
      #expect(second > kinds.count, "too few requests to show anything")
      #expect(after <= before + before / 20 + 8 << 20, "\(before) bytes resident before, \(after) after")
      #expect(process.openDescriptors() <= files + 2)
      #expect(process.threads() <= threads + 8)
    }

    /// - Returns: requests made.
    private static func ask(
      _ process: ServeProcess, _ kinds: [SoakKind], from start: Int, count: Int, seconds: Double
    ) throws -> Int {
      let begun = Clock.nanoseconds()
      let port = process.port
      let counts = try together(4, seconds: Int(seconds) + 2 * ServiceClient.seconds) { thread in
        var made = 0
        for index in stride(from: start + thread, to: start + count, by: 4) {
          if Clock.milliseconds(since: begun) > seconds * 1000 { break }
          do { try kinds[index % kinds.count].ask(port, index) } catch {
            throw TestFailure(description: "request \(index): \(error); occam-serve says: \(process.said)")
          }
          made += 1
        }
        return made
      }
      return counts.reduce(0, +)
    }

    /// Until nobody is at work and the clients that left are forgotten.
    private static func settle(_ process: ServeProcess) throws {
      let isIdle = try eventually {
        let client = try ServiceClient(port: process.port)
        try client.request("GET", "/metrics")
        let text = try client.reply().text
        return text.contains("occam:requests_processing 0\n") && text.contains("occam:requests_deferred 0\n")
      }
      guard isIdle else { throw TestFailure(description: "the service never becomes idle") }
      // What nobody uses any more goes back to the system within a second or two.
      usleep(2_500_000)
    }
  }
}

/// A kind of request, and what its answer must be.
struct SoakKind: Sendable {
  let ask: @Sendable (UInt16, Int) throws -> Void

  private init(_ ask: @escaping @Sendable (UInt16, Int) throws -> Void) { self.ask = ask }

  private static func expecting(
    _ status: Int, _ method: String, _ target: String, _ body: @escaping @Sendable (Int) throws -> [UInt8]?
  ) -> SoakKind {
    SoakKind { port, index in
      let client = try ServiceClient(port: port)
      try client.request(method, target, body: try body(index))
      let reply = try client.reply()
      guard reply.status == status else {
        throw TestFailure(description: "\(method) \(target): \(reply.status) \(reply.text.prefix(300))")
      }
    }
  }

  private static func post(
    _ status: Int, _ target: String, _ body: @escaping @Sendable (Int) throws -> JSONValue
  ) -> SoakKind { expecting(status, "POST", target) { Array(try body($0).text().utf8) } }

  /// A client that leaves after so many events; nil: before any.
  private static func leaving(_ events: Int?, _ body: @escaping @Sendable (Int) throws -> JSONValue) -> SoakKind {
    SoakKind { port, index in
      let client = try ServiceClient(port: port)
      try client.post("/v1/chat/completions", try body(index))
      guard let events else { return client.disconnect() }
      _ = try client.head()
      for _ in 0..<events { _ = try client.event() }
      client.disconnect()
    }
  }

  static func all() throws -> [SoakKind] {
    let chats = try Drill.questions().map { try $0.chat() }
    let pictures = try Drill.questions().map { try $0.bytes() }
    let names = try Drill.questions().map { String($0.picture.split(separator: "/").last ?? "") }
    let long = String(repeating: "cup ", count: 3000)
    let chat = "/v1/chat/completions"
    return [
      post(200, chat) { chats.turn($0) },
      post(200, chat) { chats.turn($0).with("stream", true) },
      post(200, chat) { Drill.chat("Number \($0)", tokens: 8) },
      post(200, "/completion") { ["prompt": .string("Number \($0)"), "n_predict": 6, "n_probs": 3] },
      post(200, "/v1/responses") { ["input": .string("Number \($0)"), "max_output_tokens": 4, "stream": true] },
      post(200, "/v1/messages") { ["messages": [["role": "user", "content": .string("\($0)")]], "max_tokens": 4] },
      post(200, "/tokenize") { ["content": .string("\($0) cups"), "with_pieces": true] },
      expecting(400, "POST", chat) { Array("{\"messages\": [\($0)".utf8) },
      post(400, chat) { index in
        let half = Array(pictures.turn(index)[..<30])
        return Drill.chat("a").with(
          "messages",
          [
            [
              "role": "user",
              "content": [
                ["type": "image_url", "image_url": ["url": .string("data:image/png;base64,\(Drill.base64(half))")]]
              ],
            ]
          ])
      },
      leaving(nil) { chats.turn($0) },
      leaving(2) { chats.turn($0).with([("stream", true), ("ignore_eos", true), ("max_tokens", 200)]) },
      // Each picture another one: the cache lets others go.
      post(200, chat) { Pictures.chat($0, tokens: 2) },
      post(200, "/v1/messages/count_tokens") { ["messages": [["role": "user", "content": .string("\($0)")]]] },
      expecting(200, "GET", "/metrics") { _ in nil },
      expecting(404, "GET", "/none") { _ in nil },
      post(400, chat) { _ in Drill.chat(long) },
      post(200, chat) { index in
        Drill.chat("a").with([
          ("occam", ["keep_map": true]),
          (
            "messages",
            [
              [
                "role": "user",
                "content": [
                  ["type": "image_url", "image_url": ["url": .string("file://\(names.turn(index))")]],
                  ["type": "text", "text": "What do you see?"],
                ],
              ]
            ]
          ),
        ])
      },
      post(400, chat) { ["model": .string(String(repeating: "m", count: 1_000_000)), "n": .integer($0)] },
      post(200, chat) { index in
        chats.turn(index).with(
          "messages",
          [
            chats.turn(index)[path: "messages.0"] ?? nil, ["role": "assistant", "content": "a cup"],
            ["role": "user", "content": .string("And \(index)?")],
          ])
      },
    ]
  }
}

extension Array {
  /// Another one every few requests.
  fileprivate func turn(_ index: Int) -> Element { self[index / 7 % count] }
}
