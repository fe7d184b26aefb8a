import Occam
import OccamCore
import OccamHTTP
import OccamService
import OccamTestSupport
import Testing

/// Drills of a service, one after the other: each loads the machine as it likes.
@Suite(.serialized) struct ServiceDrills {}

/// What the drills ask, and whom.
enum Drill {
  private static let loaded = Guarded<VisionLanguageModel?>(nil)
  private static let loadedSlow = Guarded<VisionLanguageModel?>(nil)
  private static let shared = Guarded<ServiceUnderTest?>(nil)

  /// The model in the repository.
  static func model() throws -> VisionLanguageModel {
    try loaded.withLock { loaded in
      if let loaded { return loaded }
      let model = try VisionLanguageModel(path: "\(scenes)/scenes-Q8_0.gguf", options: ModelOptions(threads: 2))
      loaded = model
      return model
    }
  }

  /// Random weights on the slowest kernels: whoever leaves a reply early does so long before its end.
  static func slowModel() throws -> VisionLanguageModel {
    try loadedSlow.withLock { loaded in
      if let loaded { return loaded }
      let files = try Fixture.make("g2", "F32")
      let model = try VisionLanguageModel(
        path: files.text, projector: files.projector, options: ModelOptions(threads: 1, kernel: "portable"))
      loaded = model
      return model
    }
  }

  /// Serves the model in the repository to all drills that change nothing.
  static func service() throws -> ServiceUnderTest {
    try shared.withLock { shared in
      if let shared { return shared }
      let service = try ServiceUnderTest(try model()) {
        $0.metricsCompat = true
        $0.page = Array("<html></html>".utf8)
      }
      shared = service
      return service
    }
  }

  static let scenes = "\(Locations.root)/Models/scenes"

  /// A question and the path of its picture.
  struct Question: Sendable {
    let text: String
    let picture: String

    func bytes() throws -> [UInt8] { try Files.read(picture) }
    func url() throws -> String { "data:image/png;base64,\(base64(try bytes()))" }

    /// As a user's turn of a chat.
    func message() throws -> JSONValue {
      [
        "role": "user",
        "content": [
          ["type": "image_url", "image_url": ["url": .string(try url())]], ["type": "text", "text": .string(text)],
        ],
      ]
    }

    /// A chat that is answered with the likeliest tokens.
    func chat(tokens: Int = 40) throws -> JSONValue {
      ["messages": [try message()], "temperature": 0, "max_tokens": .integer(tokens)]
    }
  }

  static func questions() throws -> [Question] {
    let lines = try Files.read("\(scenes)/questions.jsonl").split(separator: 10)
    return try lines.map { line in
      let value = try JSONValue(parsing: Array(line))
      guard let text = value.text("question"), let image = value.text("image") else {
        throw TestFailure(description: "questions.jsonl has another form")
      }
      return Question(text: text, picture: "\(scenes)/\(image)")
    }
  }

  static func question(_ index: Int = 0) throws -> Question { try questions()[index] }

  /// A chat about nothing to see.
  static func chat(_ text: String, tokens: Int = 8) -> JSONValue {
    [
      "messages": [["role": "user", "content": .string(text)]], "temperature": 0, "max_tokens": .integer(tokens),
      "ignore_eos": true,
    ]
  }

  /// A reply that lasts until its context is full.
  static func endless(_ text: String = "Once upon a time") -> JSONValue {
    ["messages": [["role": "user", "content": .string(text)]], "ignore_eos": true, "stream": true]
  }

  static let greedy: GenerationOptions = {
    var options = GenerationOptions()
    options.temperature = 0
    options.maxTokens = 40
    return options
  }()

  /// RFC 4648, written apart from the service's own.
  static func base64(_ bytes: [UInt8]) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var text: [UInt8] = []
    text.reserveCapacity(bytes.count / 3 * 4 + 4)
    var (bits, count) = (0, 0)
    for byte in bytes {
      bits = (bits << 8 | Int(byte)) & 0xFFFF
      count += 8
      while count >= 6 {
        count -= 6
        text.append(alphabet[bits >> count & 63])
      }
    }
    if count > 0 { text.append(alphabet[bits << (6 - count) & 63]) }
    while text.count % 4 != 0 { text.append(UInt8(ascii: "=")) }
    return String(decoding: text, as: UTF8.self)
  }
}
