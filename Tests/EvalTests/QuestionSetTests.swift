import OccamCore
import OccamEvalKit
import OccamTestSupport
import Testing

@Suite struct QuestionSetTests {
  private let good =
    #"{"id":"a","image":"i/1.png","question":"how many?","answer":"3","type":"count","objects":5,"seed":7}"#

  private func set(_ text: String) throws -> QuestionSet { try QuestionSet(Array(text.utf8), path: "dir/q.jsonl") }

  @Test func readsEveryMember() throws {
    let set = try set(
      good + "\n\n"
        + #"{"id":"b","image":"/x.png","question":"is it?","answer":["yes","Yes it is"],"type":"existence"}"#)
    #expect(set.questions.count == 2)
    #expect(
      set.questions[0]
        == EvalQuestion(
          id: "a", image: "dir/i/1.png", question: "how many?", answers: ["3"], type: .count, objects: 5,
          extra: [JSONMember("seed", 7)]))
    #expect(set.questions[1].image == "/x.png")
    #expect(set.questions[1].answers == ["yes", "Yes it is"])
    #expect(set.questions[1].objects == nil)
  }

  @Test func aNumberIsAnAnswer() throws {
    let set = try set(#"{"id":"a","image":"i","question":"?","answer":3,"type":"count"}"#)
    #expect(set.questions[0].answers == ["3"])
  }

  @Test(arguments: [
    ("{", "column"), ("[]", "expected an object"),
    (#"{"image":"i","question":"?","answer":"a","type":"count"}"#, "\"id\" is missing"),
    (#"{"id":1,"image":"i","question":"?","answer":"a","type":"count"}"#, "\"id\": expected a text"),
    (#"{"id":"x","image":"","question":"?","answer":"a","type":"count"}"#, "\"image\" is empty"),
    (#"{"id":"x","image":"i","question":"?","answer":"a","type":"colour"}"#, "expected one of existence"),
    (#"{"id":"x","image":"i","question":"?","answer":[],"type":"count"}"#, "\"answer\""),
    (#"{"id":"x","image":"i","question":"?","answer":[1],"type":"count"}"#, "\"answer\""),
    (#"{"id":"x","image":"i","question":"?","type":"count"}"#, "\"answer\""),
    (#"{"id":"x","image":"i","question":"?","answer":"a","type":"count","objects":-1}"#, "\"objects\""),
    (#"{"id":"a","image":"i","question":"?","answer":"a","type":"count"}"#, "line 1 already"),
  ]) func namesFileAndLine(line: String, message: String) throws {
    let error = try #require(evalError { _ = try set(good + "\n" + line) })
    #expect(error.code == .line && error.line == 2)
    #expect(error.description.hasPrefix("dir/q.jsonl:2: "))
    #expect(error.message.contains(message), "\(error)")
  }

  @Test func longTextsAreRefused() {
    let long = String(repeating: "x", count: QuestionSet.textLimit + 1)
    let error = evalError {
      _ = try set(#"{"id":"a","image":"i","question":""# + long + #"","answer":"a","type":"count"}"#)
    }
    #expect(error?.message == "\"question\" is too long")
  }

  @Test func emptyAndMissingFilesAreErrors() throws {
    #expect(evalError { _ = try set(" \n\n") }?.code == .file)
    #expect(evalError { _ = try QuestionSet(path: "/nowhere/q.jsonl") }?.code == .file)
  }

  @Test func restrictingKeepsOrder() throws {
    var set = try SampleQuestions.set()
    set.restrict(types: [.count, .description], limit: 3)
    #expect(set.questions.map(\.id) == ["t0-1", "t0-2", "t1-1"])
  }

  @Test func aSampleIsSpread() throws {
    var set = try SampleQuestions.set()
    set.sample(4)
    #expect(set.questions.map(\.id) == ["t0-0", "t0-1", "t1-0", "t1-1"])
    set.sample(9)
    #expect(set.questions.count == 4)
  }

  @Test func imagesComeOnce() throws {
    func line(_ id: String, _ image: String) -> String {
      #"{"id":"\#(id)","image":"\#(image)","question":"?","answer":"a","type":"count"}"# + "\n"
    }
    let set = try set(line("1", "a") + line("2", "b") + line("3", "a"))
    #expect(set.byImage.map { $0.map(\.id) } == [["1", "3"], ["2"]])
  }
}
