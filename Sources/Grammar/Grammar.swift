import OccamCore

/// What a text may be: rules that refer to each other, one of which is the whole text.
package struct Grammar: Sendable {
  struct Rule: Sendable {
    let name: String
    let body: Expression
  }

  let rules: [Rule]
  let root: Int
  let limits: GrammarLimits

  init(rules: [Rule], root: Int, limits: GrammarLimits) {
    self.rules = rules
    self.root = root
    self.limits = limits
  }

  /// A grammar in llama.cpp's notation; the text is what the rule `root` describes.
  package init(gbnf text: String, limits: GrammarLimits = GrammarLimits()) throws(GrammarError) {
    var parser = GBNFParser(text, limits: limits)
    self = try parser.grammar()
  }

  /// JSON that is valid by a JSON Schema, compact or with little white space, members in the schema's order.
  package init(schema: JSONValue, limits: GrammarLimits = GrammarLimits()) throws(GrammarError) {
    var compiler = SchemaCompiler(schema, limits: limits)
    self = try compiler.grammar()
  }

  /// Any JSON object.
  package static func json(limits: GrammarLimits = GrammarLimits()) throws(GrammarError) -> Grammar {
    try Grammar(schema: ["type": "object"], limits: limits)
  }
}
