import OccamCore
import OccamGrammar
import OccamTestSupport
import Testing

/// Schemas against what others say of documents (Tests/Goldens/jsonschema/make.py).
@Suite struct SchemaOracleTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    let schema: String
    let valid: [String]
    let invalid: [String]
    var testDescription: String { name }

    static func read(_ file: String) -> [Case] {
      let golden = try? JSONValue(parsing: Files.read("\(Locations.goldens)/jsonschema/\(file)"))
      return (golden?["cases"]?.arrayValue ?? []).map { item in
        func texts(_ name: String) -> [String] { item[name]?.arrayValue?.compactMap(\.stringValue) ?? [] }
        return Case(
          name: item["name"]?.stringValue ?? "", schema: item["schema"]?.stringValue ?? "", valid: texts("valid"),
          invalid: texts("invalid"))
      }
    }
  }

  /// Refused: no grammar of a bearable size says this, or two keywords that speak of one value are not put together.
  static let refused: Set<String> = [
    "multipleOf", "not", "uniqueItems", "patternProperties", "propertyNames", "minProperties", "contains",
    "dependentRequired", "if", "enum beside", "allOf closed", "anyOf closed", "anyOf and oneOf", "pattern and length",
  ]
  static let documents = Case.read("documents.json")
  /// llama.cpp takes `uniqueItems` and does not hold a reply to it.
  static let llama = Case.read("llama.json").filter { !$0.schema.contains("uniqueItems") }

  @Test func goldensAreThere() {
    #expect(SchemaOracleTests.documents.count >= 85 && SchemaOracleTests.llama.count >= 21)
    for item in SchemaOracleTests.documents + SchemaOracleTests.llama {
      #expect(!item.schema.isEmpty && !(item.valid + item.invalid).isEmpty, "\(item.name) says nothing")
    }
    #expect(SchemaOracleTests.refused.isSubset(of: SchemaOracleTests.documents.map(\.name)))
  }

  @Test(arguments: documents) func agreesWithJSONSchema(_ item: Case) throws {
    guard !SchemaOracleTests.refused.contains(item.name) else {
      #expect(throws: GrammarError.self) { try Acceptor(schema: item.schema) }
      return
    }
    try check(item)
  }

  @Test(arguments: llama) func agreesWithLlama(_ item: Case) throws { try check(item) }

  private func check(_ item: Case) throws {
    let acceptor = try Acceptor(schema: item.schema)
    for text in item.valid { #expect(acceptor.accepts(text), "\(text) is refused") }
    for text in item.invalid { #expect(!acceptor.accepts(text), "\(text) is taken") }
  }
}
