import Glibc
import Occam
import OccamCore
import OccamTestSupport
import Testing

/// What the decode loop reports and where it ends.
@Suite(.serialized) struct GenerationTests {
  private func session() throws -> Session { try TestModel.pair().makeSession() }

  @Test func stopStringsEndTheReply() throws {
    let full = try session().respond(to: "What is this?", images: [TestModel.cat], options: .greedy(20)).text
    #expect(full.count > 12)
    // From the middle of the text, across tokens.
    let characters = Array(full)
    let stop = String(characters[6..<10])
    let end = try #require(full.firstRange(of: stop)).lowerBound
    var options = GenerationOptions.greedy(20)
    options.stop = ["never there", stop]
    var streamed = ""
    let metrics = try session().respond(to: "What is this?", images: [TestModel.cat], options: options) { event in
      if case .token(let token) = event { streamed += token.text }
    }
    #expect(metrics.stop == .stop && metrics.text == String(full[..<end]) && streamed == metrics.text)
    // One that is begun but never finished is shown in full.
    options.stop = [full + "!"]
    let held = try session().respond(to: "What is this?", images: [TestModel.cat], options: options)
    #expect(held.stop == .length && held.text == full)
  }

  @Test func endOfTextEndsTheReply() throws {
    // The model's own end: a sampling that only ever sees it cannot be arranged, so it is looked for among seeds.
    var options = GenerationOptions.greedy(400)
    options.ignoresEndOfText = false
    options.temperature = 3
    options.topK = 0
    options.topP = 1
    options.minP = 0
    var ended = false
    for seed in 0..<12 as Range<UInt64> where !ended {
      options.seed = seed
      var ids: [Int32] = []
      let metrics = try session().respond(to: "What is this?", options: options) { event in
        if case .token(let token) = event { ids.append(token.id) }
      }
      ended = metrics.stop == .eos
      // The end itself is counted and reported, without a text.
      if ended { #expect(ids.filter { $0 >= 0 }.count == metrics.generatedTokens && ids.last { $0 >= 0 } == 2) }
    }
    #expect(ended)
  }

  @Test func logProbabilities() throws {
    var options = GenerationOptions.greedy(4)
    options.logprobs = 5
    var tokens: [GeneratedToken] = []
    _ = try session().respond(to: "What is this?", images: [TestModel.cat], options: options) { event in
      if case .token(let token) = event, token.id >= 0 { tokens.append(token) }
    }
    #expect(tokens.count == 4)
    for token in tokens {
      let logprob = try #require(token.logprob)
      #expect(logprob <= 0 && token.top.count == 5)
      // Greedy: the chosen token is the best one.
      #expect(token.top[0].id == token.id && token.top[0].logprob == logprob)
      #expect(zip(token.top, token.top.dropFirst()).allSatisfy { $0.logprob >= $1.logprob })
      #expect(token.top.reduce(0) { $0 + exp(Double($1.logprob)) } <= 1.000001)
      let line = try JSONValue(parsing: Array(token.jsonLine.utf8))
      #expect(line["type"]?.stringValue == "token" && line["id"]?.intValue == Int(token.id))
      #expect(line["top"]?.arrayValue?.count == 5)
    }
    options.logprobs = nil
    _ = try session().respond(to: "What is this?", options: options) { event in
      if case .token(let token) = event { #expect(token.logprob == nil && token.top.isEmpty) }
    }
    options.logprobs = 1_000_000
    var most = 0
    _ = try session().respond(to: "What is this?", options: options) { event in
      if case .token(let token) = event { most = max(most, token.top.count) }
    }
    #expect(most == (try TestModel.pair()).textShape.vocabulary)
  }

  @Test func repeatPenaltyChangesTheText() throws {
    let plain = try session().respond(to: "What is this?", options: .greedy(24)).text
    var options = GenerationOptions.greedy(24)
    options.repeatPenalty = 8
    #expect(try session().respond(to: "What is this?", options: options).text != plain)
  }

  /// The summary line of `--json` has the fields and the figures that the metrics have.
  @Test func summaryLine() throws {
    let metrics = try session().respond(to: "What is this?", images: [TestModel.cat], options: .greedy(3))
    let line = try JSONValue(parsing: Array(metrics.jsonLine.utf8))
    #expect(line["type"]?.stringValue == "summary" && line["stop"]?.stringValue == "length")
    #expect(line["prompt_tokens"]?.intValue == metrics.promptTokens)
    #expect(line["memory"]?["kv_bytes"]?.intValue == metrics.kvBytes)
    #expect(line["memory"]?["kv_bytes_unpruned"]?.intValue == metrics.kvBytesUnpruned)
    let image = try #require(line["pruning"]?.arrayValue?.first)
    #expect(image["kept_indices"]?.arrayValue?.compactMap(\.intValue) == metrics.pruning[0].keptIndices)
    #expect(image["reference"]?.stringValue == "mean" && image["total"]?.intValue == 64)
    for name in ["load_ms", "image_decode_ms", "image_encode_ms", "prefill_ms", "ttft_ms", "decode_ms"] {
      #expect(line["timings"]?[name]?.doubleValue != nil, "\(name)")
    }
  }
}
