import Occam
import OccamCore
import OccamGGUF
import OccamTestSupport
import OccamTokenizer
import Testing

/// Replies that are held to a format.
@Suite(.serialized) struct FormatTests {
  private func text(_ format: ResponseFormat, _ change: (inout GenerationOptions) -> Void) throws -> String {
    let model = try TestModel.textOnly()
    var options = GenerationOptions.greedy(40)
    options.format = format
    change(&options)
    return try model.makeSession().respond(to: "Say it.", options: options).text
  }

  /// The format binds more than a bias, whichever tokens that wants or forbids.
  @Test(arguments: [Float.infinity, -.infinity]) func noBiasLeavesTheFormat(_ bias: Float) throws {
    let tokenizer = try Tokenizer(metadata: try GGUFFile(path: try Fixture.make("g1", "Q8_0").text))
    let ids = 0..<Int32(tokenizer.vocabularySize)
    for temperature in [0, 1] as [Float] {
      let reply = try text(.grammar("root ::= [ab]{6}")) { options in
        options.temperature = temperature
        options.logitBias = Dictionary(uniqueKeysWithValues: ids.map { ($0, bias) })
      }
      #expect(reply.count == 6 && reply.allSatisfy { "ab".contains($0) }, "'\(reply)'")
    }
    // What the format leaves open the bias still decides.
    let chosen = try text(.grammar("root ::= [ab]{6}")) { options in
      for id in ids {
        let bytes = tokenizer.bytes(of: id, special: false)
        if bias > 0 ? bytes.allSatisfy({ $0 == 97 }) : bytes.contains(97) { options.logitBias[id] = bias }
      }
    }
    #expect(chosen == (bias > 0 ? "aaaaaa" : "bbbbbb"))
  }

  /// Penalties that make nothing out of something do not, either.
  @Test func noPenaltyLeavesTheFormat() throws {
    let reply = try text(.grammar("root ::= [ab]{6}")) { options in
      options.presencePenalty = .infinity
      options.frequencyPenalty = -.infinity
    }
    #expect(reply.count == 6 && reply.allSatisfy { "ab".contains($0) })
  }

  @Test(arguments: [
    (ResponseFormat.schema("{"), "schema"), (.schema(#"{"not":{}}"#), "#/not"),
    (.grammar("root = 1"), "grammar, line 1"),
  ]) func errorsNameWhatIsWrong(_ format: ResponseFormat, _ subject: String) throws {
    let model = try TestModel.textOnly()
    let error = failure { try model.prepare(format) }
    #expect(error?.code == .invalidOption && error?.subject == subject)
  }
}
