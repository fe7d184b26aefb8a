import OccamCore
import OccamEvalKit
import OccamTestSupport
import Testing

@Suite struct ResultsFileTests {
  private let run: JSONValue = ["run": ["model": "m.gguf"]]

  private func record(_ id: String, setting: String = "off", answer: String = "yes") -> EvalRecord {
    var record = EvalRecord()
    record.id = id
    record.setting = setting
    record.method = "off"
    record.question = "is it?"
    record.image = "i.png"
    record.expected = ["yes"]
    record.answer = answer
    record.score = 1
    record.objects = 3
    record.lambda2 = 0.5
    record.total = 576
    record.stage1 = 200
    record.kept = 64
    record.rowsPerLayer = [220, 84, 84]
    record.textRows = 20
    record.effectivePatches = 41.5
    record.keptIndices = [1, 5, 9]
    record.extra = [JSONMember("scene", "kitchen")]
    return record
  }

  private func question(_ id: String, _ text: String = "is it?") -> EvalQuestion {
    EvalQuestion(id: id, image: "i.png", question: text, answers: ["yes"], type: .existence)
  }

  private func file(_ records: [EvalRecord]) throws -> String {
    let path = "\(TemporaryFolder.make())/results.jsonl"
    let file = try ResultsFile(path: path, run: run)
    for record in records { try file.add(record) }
    return path
  }

  private func text(_ path: String) throws -> String { String(decoding: try Files.read(path), as: UTF8.self) }

  @Test func everyMemberComesBack() throws {
    let path = try file([record("a"), record("b", setting: "occamtoken lambda1=0.1")])
    let back = try ResultsFile(path: path, run: run)
    #expect(back.records == [record("a"), record("b", setting: "occamtoken lambda1=0.1")])
    let perLayer: Double = 328.0 / 3
    #expect(abs(back.records[0].visualPerLayer - perLayer) < 1e-9)
    #expect(try back.record(question("a"), setting: "off")?.answer == "yes")
    #expect(try back.record(question("a"), setting: "fastv") == nil)
    #expect(try text(path).split(separator: "\n").count == 3)
  }

  /// A crash can cut the last line anywhere.
  @Test func aTornLastLineIsDroppedAndAskedAgain() throws {
    let path = try file([record("a"), record("b")])
    let whole = try Files.read(path)
    let start = try #require(whole.dropLast().lastIndex(of: 10)) + 1
    for end in stride(from: start + 1, to: whole.count - 1, by: 37) {
      try Files.write(Array(whole[..<end]), to: path)
      let file = try ResultsFile(path: path, run: run)
      #expect(file.records.map(\.id) == ["a"])
      try file.add(record("b"))
      #expect(try Files.read(path) == whole)
    }
  }

  @Test func aLastLineWithoutItsBreakIsWhole() throws {
    let path = try file([record("a")])
    let whole = try Files.read(path)
    try Files.write(Array(whole.dropLast()), to: path)
    let file = try ResultsFile(path: path, run: run)
    #expect(file.records.map(\.id) == ["a"])
    #expect(try Files.read(path) == whole)
  }

  @Test func aTornFirstLineStartsOver() throws {
    let path = try temporaryFile("r.jsonl", #"{"run":{"mod"#)
    let file = try ResultsFile(path: path, run: run)
    try file.add(record("a"))
    #expect(try ResultsFile(path: path, run: run).records.count == 1)
  }

  @Test func anotherRunIsRefused() throws {
    let path = try file([record("a")])
    let before = try Files.read(path)
    let error = evalError { _ = try ResultsFile(path: path, run: ["run": ["model": "other.gguf"]]) }
    #expect(error?.code == .mismatch && error?.line == 1)
    #expect(try Files.read(path) == before)
  }

  @Test func aFileOfSomethingElseIsRefused() throws {
    let path = try temporaryFile("notes.txt", "dear diary\n")
    #expect(evalError { _ = try ResultsFile(path: path, run: run) }?.line == 1)
    let set = try temporaryFile("q.jsonl", #"{"id":"a"}"# + "\n")
    #expect(evalError { _ = try ResultsFile(path: set, run: run) }?.message == "not the first line of a results file")
    #expect(try text(path) == "dear diary\n")
  }

  @Test(arguments: [
    ("not json", "column"), (#"{"id":"x"}"#, "\"setting\" is missing"),
    (#"{"id":"x","setting":"s","method":"m","image":"i","question":"q","type":"tea"}"#, "\"type\""),
    (#"{"id":"x","setting":"s","method":"m","image":"i","question":"q","type":"count","score":"1"}"#, "\"score\""),
  ]) func aDamagedLineInTheMiddleIsNamed(line: String, message: String) throws {
    let path = try file([record("a")])
    let content = try text(path)
    try Files.write(Array((content + line + "\n" + record("b").json.text() + "\n").utf8), to: path)
    let error = try #require(evalError { _ = try ResultsFile(path: path, run: run) })
    #expect(error.code == .line && error.line == 3 && error.message.contains(message), "\(error)")
  }

  @Test func anotherQuestionUnderTheSameIdIsRefused() throws {
    let file = try ResultsFile(path: try file([record("a")]), run: run)
    #expect(evalError { _ = try file.record(question("a", "was it?"), setting: "off") }?.code == .mismatch)
  }
}
