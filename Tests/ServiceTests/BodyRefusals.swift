import Glibc
import Occam
import OccamCore
import OccamHTTP
import OccamTestSupport
import Testing

extension ServiceDrills {
  /// Bodies that are no JSON or too much of it, and clients without a key or of another site.
  @Suite(.serialized) struct BodyRefusals {
    private let service: ServiceUnderTest

    init() throws { service = try Drill.service() }

    private func expectRefusal(_ body: [UInt8], _ words: String, _ location: SourceLocation = #_sourceLocation) throws {
      let reply = try service.post("/v1/chat/completions", body)
      #expect(reply.status == 400, sourceLocation: location)
      let message = try reply.json.text("error.message") ?? ""
      #expect(message.contains(words), "\(message.prefix(300))", sourceLocation: location)
      // Nobody is sent back what he sent.
      #expect(reply.body.count < 2000, sourceLocation: location)
    }

    @Test func bodiesThatAreNoJSON() throws {
      try expectRefusal([], "not JSON")
      try expectRefusal(Array("hello".utf8), "not JSON")
      try expectRefusal(Array("{}{}".utf8), "not JSON")
      try expectRefusal(Array("[]".utf8), "not an object")
      try expectRefusal(Array("null".utf8), "not an object")
      try expectRefusal(Array(#"{"a":1,"a":2}"#.utf8), "stands twice")
      try expectRefusal(Array(#"{"a":"\ud800"}"#.utf8), "surrogate")
      try expectRefusal(Array(#"{"a":1e999}"#.utf8), "out of range")
      try expectRefusal(Array(#"{"a":""#.utf8) + [0xFF, 0xFE] + Array("\"}".utf8), "UTF-8")
      try expectRefusal(Array(#"{"a":""#.utf8) + [0xC0, 0x80] + Array("\"}".utf8), "UTF-8")
      try expectRefusal([0xFF, 0xFE, 0x7B, 0, 0x7D, 0], "not JSON")
    }

    @Test func bombsOfJSON() throws {
      let depth = 100_000
      try expectRefusal([UInt8](repeating: 0x5B, count: depth) + [UInt8](repeating: 0x5D, count: depth), "deeper")
      let objects = Array(repeating: Array(#"{"a":"#.utf8), count: depth).joined()
      try expectRefusal(Array(objects) + [0x31] + [UInt8](repeating: 0x7D, count: depth), "deeper")
      let zeros = Array(repeatElement([UInt8]([0x2C, 0x30]), count: 2_000_000).joined())
      try expectRefusal(Array(#"{"a":[0"#.utf8) + zeros + Array("]}".utf8), "values")
      // One field of 60 MB; none that anybody reads.
      let backslashes = Array(#"{"a":""#.utf8) + [UInt8](repeating: 0x5C, count: 60_000_000) + Array("\"}".utf8)
      try expectRefusal(backslashes, "'messages' is missing")
      let member = "\"\(String(repeating: "n", count: 1_000_000))\":1"
      try expectRefusal(Array("{\(member),\(member)}".utf8), "stands twice")
      #expect(try service.get("/health").status == 200)
    }

    /// What a client calls the model comes back in every event of a stream.
    @Test func namesOfModelsAreShort() throws {
      let body = Drill.chat("a", tokens: 2).with("model", .string(String(repeating: "m", count: 1_000_000)))
      let reply = try service.post("/v1/chat/completions", body)
      #expect(reply.status == 400)
      #expect(try reply.json.text("error.message")?.contains("'model'") == true)
      #expect(reply.body.count < 2000)
    }

    @Test func largeBodiesAreTakenUpToTheLimit() throws {
      // A picture of 45 MB is 60 MB of base64.
      let head = Pictures.bmpHead(width: 4000, height: 3750)
      let picture = head + [UInt8](repeating: 200, count: 45_000_000)
      let url = "data:image/bmp;base64,\(Drill.base64(picture))"
      let content: JSONValue = [
        ["type": "image_url", "image_url": ["url": .string(url)]], ["type": "text", "text": "What do you see?"],
      ]
      let messages: JSONValue = [["role": "user", "content": content]]
      let body = Array(JSONValue.object([JSONMember("messages", messages), JSONMember("max_tokens", 2)]).text().utf8)
      #expect(body.count > 60_000_000)
      let reply = try service.post("/v1/chat/completions", body)
      #expect(reply.status == 200, "\(reply.text.prefix(300))")
      var limits = HTTPLimits()
      limits.bodyBytes = 50 << 20
      let strict = try ServiceUnderTest(try Drill.model(), limits: limits)
      let client = try strict.client()
      // Refused for its length, before it is sent.
      try client.request("POST", "/v1/chat/completions", [("Content-Length", "\(body.count)")])
      #expect(try client.reply().status == 413)
      let chunked = try strict.client()
      try chunked.request("POST", "/v1/chat/completions", [("Transfer-Encoding", "chunked")])
      // A server that has answered may close before all is sent.
      try? chunked.send(Array("\(String(body.count, radix: 16))\r\n".utf8) + body)
      #expect(try chunked.reply().status == 413)
      #expect(try strict.answer("/v1/chat/completions", Drill.chat("a")).int("usage.completion_tokens") == 8)
    }

    @Test func keysOpenWhatIsNotPublic() throws {
      let service = try ServiceUnderTest(try Drill.model()) {
        $0.apiKeys = ["first-key", "second"]
        $0.page = [0x61]
      }
      let body = Drill.chat("a", tokens: 1)
      for headers in [
        [], [("Authorization", "Bearer wrong")], [("Authorization", "Bearer ")], [("Authorization", "first-key")],
        [("Authorization", "Basic first-key")], [("x-api-key", "first-ke")], [("x-api-key", "first-key2")],
        [("x-api-key", "")], [("Authorization", "Bearer FIRST-KEY")],
      ] {
        let reply = try service.post("/v1/chat/completions", body, headers)
        #expect(reply.status == 401, "\(headers)")
        #expect(reply.headers["www-authenticate"] == "Bearer")
        #expect(try reply.json.text("error.type") == "authentication_error")
        for path in ["/props", "/slots", "/metrics"] { #expect(try service.get(path, headers).status == 401) }
        #expect(try service.post("/tokenize", ["content": "a"], headers).status == 401)
        for path in ["/", "/health", "/v1/models"] { #expect(try service.get(path, headers).status == 200) }
      }
      for headers in [
        [("Authorization", "Bearer first-key")], [("authorization", "bearer second")], [("x-api-key", "second")],
        [("X-API-Key", "first-key")],
      ] {
        #expect(try service.post("/v1/chat/completions", body, headers).status == 200, "\(headers)")
        #expect(try service.get("/props", headers).status == 200)
      }
    }

    @Test func otherSitesAreAllowedWhenSaid() throws {
      let site = [("Origin", "https://site.example")]
      func preflight(_ service: ServiceUnderTest) throws -> Reply {
        try service.get(
          "/v1/chat/completions", site + [("Access-Control-Request-Method", "POST")], method: "OPTIONS")
      }
      let none = try preflight(service)
      #expect(none.headers.fields.allSatisfy { !$0.name.lowercased().hasPrefix("access-control") })
      #expect(try service.get("/health", site).headers["access-control-allow-origin"] == nil)
      for (allowed, shown) in [("*", "*"), ("https://site.example", "https://site.example")] {
        let service = try ServiceUnderTest(try Drill.model()) {
          $0.allowedOrigin = allowed
          $0.apiKeys = ["key"]
        }
        let reply = try preflight(service)
        #expect(reply.status == 200 && reply.body.isEmpty)
        #expect(reply.headers["access-control-allow-origin"] == shown)
        #expect(reply.headers["access-control-allow-methods"]?.contains("POST") == true)
        #expect(reply.headers["access-control-allow-headers"]?.contains("Authorization") == true)
        #expect(try service.get("/health", site).headers["access-control-allow-origin"] == shown)
        // An error that a page may not read tells it nothing.
        #expect(try service.get("/props", site).headers["access-control-allow-origin"] == shown)
        // The server's own refusal, before the body is read.
        let large = try service.client()
        try large.request("POST", "/v1/messages", site + [("Content-Length", "1000000000")])
        let refused = try large.reply()
        #expect(refused.status == 413 && refused.headers["access-control-allow-origin"] == shown)
        #expect(try refused.json.text("type") == "error" && refused.headers["server"]?.hasPrefix("occam/") == true)
        let client = try service.client()
        let key = [("Authorization", "Bearer key")]
        let body = Array(Drill.chat("a", tokens: 1).with("stream", true).text().utf8)
        try client.request("POST", "/v1/chat/completions", site + key, body: body)
        #expect(try client.head().headers["access-control-allow-origin"] == shown)
      }
      let other = try ServiceUnderTest(try Drill.model()) { $0.allowedOrigin = "https://other.example" }
      #expect(try preflight(other).headers["access-control-allow-origin"] == nil)
    }
  }
}
