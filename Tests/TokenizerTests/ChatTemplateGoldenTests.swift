import OccamCore
import OccamTokenizer
import Testing

/// Renderings by jinja2, made by Tests/Goldens/templates/make.py: the same text, or an error where jinja2 fails.
@Suite struct ChatTemplateGoldenTests {
  static let folder =
    "\(#filePath)".split(separator: "/").dropLast(2).reduce("") { "\($0)/\($1)" } + "/Goldens/templates"

  @Test(arguments: ["snippets.json", "chats.json"]) func rendersAsJinja(
    file: String
  ) throws {
    let golden = try JSONValue(parsing: try Files.read("\(ChatTemplateGoldenTests.folder)/\(file)"))
    let cases = try #require(golden["cases"]?.arrayValue)
    #expect(cases.count > 100)
    for entry in cases {
      let name = try #require(entry["name"]?.stringValue)
      let template = try #require(entry["template"]?.stringValue)
      let variables = try #require(entry["variables"] ?? golden["variables"])
      var rendered: String?
      var failure: TemplateError?
      do {
        rendered = try ChatTemplate(template).render(variables, now: 1_700_049_600)
      } catch {
        failure = error
      }
      let expected = entry["expected"]?.stringValue
      let agrees = expected.map { wanted in rendered.map { Array($0.utf8) == Array(wanted.utf8) } ?? false }
      if !(agrees ?? (failure != nil)) {
        let common = zip((rendered ?? "").unicodeScalars, (expected ?? "").unicodeScalars).prefix { $0 == $1 }.count
        let tails = [rendered, expected].map { ($0 ?? "-").unicodeScalars.dropFirst(max(common - 20, 0)).prefix(80) }
        Issue.record(
          "\(name): \(failure?.description ?? "") ours \(tails.map { JSONValue.string(String($0)).text() }.joined(separator: ", jinja's "))"
        )
      }
    }
  }
}
