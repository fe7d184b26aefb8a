import OccamCore

/// Writes a JSON Schema as a grammar of the JSON texts that are valid by it: members in the schema's order, compact or
/// with little white space. What a grammar cannot hold a text to is refused, by its place in the schema.
struct SchemaCompiler {
  let document: JSONValue
  let limits: GrammarLimits
  private var rules: [(name: String, body: Expression?)] = []
  /// Schemas written out so far; those that stand beside alternatives are written out with each.
  private var written = 0
  /// Rules that are the same wherever they are used, by name.
  private var shared: [String: Int] = [:]
  /// Rules of references, by the pointer's bytes.
  private var references: [[UInt8]: Int] = [:]
  /// References that are still to be written out: each begins at no depth, however it was come to.
  private var queue: [(rule: Int, schema: JSONValue, pointer: String)] = []

  init(_ document: JSONValue, limits: GrammarLimits) {
    self.document = document
    self.limits = limits
  }

  mutating func grammar() throws(GrammarError) -> Grammar {
    guard document.text().utf8.count <= limits.bytes else {
      throw GrammarError("schema", "is longer than \(limits.bytes) bytes")
    }
    let root = try reference("#")
    while let next = queue.popLast() {
      rules[next.rule].body = try expression(next.schema, at: next.pointer, depth: 0)
    }
    var finished: [Grammar.Rule] = []
    for (name, body) in rules {
      guard let body else { throw GrammarError("schema", "refers to itself without end at '\(name)'") }
      finished.append(Grammar.Rule(name: name, body: body))
    }
    return Grammar(rules: finished, root: root, limits: limits)
  }

  // MARK: Rules

  /// A rule that is made once; it may refer to itself.
  mutating func rule(
    _ name: String, _ body: (inout SchemaCompiler) throws(GrammarError) -> Expression
  ) throws(GrammarError) -> Expression {
    if let known = shared[name] { return .rule(known) }
    let number = try newRule(name, nil)
    shared[name] = number
    rules[number].body = try body(&self)
    return .rule(number)
  }

  /// A rule of its own, so that what stands in several places is written out once.
  mutating func newRule(_ name: String, _ body: Expression) throws(GrammarError) -> Expression {
    .rule(try newRule(name, .some(body)))
  }

  private mutating func newRule(_ name: String, _ body: Expression?) throws(GrammarError) -> Int {
    guard rules.count < limits.rules else { throw GrammarError("schema", "has more than \(limits.rules) rules") }
    rules.append((name, body))
    return rules.count - 1
  }

  // MARK: Schemas

  /// The rule of the schema at a JSON pointer within the document.
  mutating func reference(_ pointer: String) throws(GrammarError) -> Int {
    let key = Array(pointer.utf8)
    if let known = references[key] { return known }
    let schema = try resolve(pointer)
    let number = try newRule("schema \(pointer)", nil)
    references[key] = number
    queue.append((number, schema, pointer))
    return number
  }

  /// What stands at a JSON pointer.
  func resolve(_ pointer: String) throws(GrammarError) -> JSONValue {
    guard pointer == "#" || pointer.hasPrefix("#/") else {
      throw GrammarError(pointer, "only references within the schema (#/...) are followed")
    }
    var place = document
    for part in pointer == "#" ? [] : pointer.dropFirst(2).split(separator: "/", omittingEmptySubsequences: false) {
      let name = JSONPointer.unescaped(part)
      let next: JSONValue? =
        if case .array(let elements) = place {
          Int(name).flatMap { elements.indices.contains($0) ? elements[$0] : nil }
        } else {
          place[name]
        }
      guard let next else { throw GrammarError(pointer, "the schema has no such place") }
      place = next
    }
    return place
  }

  /// - Parameter pointer: of the schema, for errors.
  mutating func expression(_ schema: JSONValue, at pointer: String, depth: Int) throws(GrammarError) -> Expression {
    guard depth < limits.depth else { throw GrammarError(pointer, "is nested deeper than \(limits.depth)") }
    written += 1
    // Each is a place of the automaton's graph, or several.
    guard written <= limits.nodes else { throw GrammarError("schema", "is too large, alternatives written out") }
    switch schema {
    case .bool(true): return try anyValue()
    case .bool(false): throw GrammarError(pointer, "allows nothing")
    case .object: break
    default: throw GrammarError(pointer, "is \(schema.kindName), not a schema")
    }
    try SchemaKeywords.check(schema, at: pointer)
    var choices = try alternatives(schema, at: pointer, depth: depth)
    if schema["nullable"]?.boolValue == true { choices.append(.text("null")) }
    return choices.count == 1 ? choices[0] : .choice(choices)
  }

  private mutating func alternatives(
    _ schema: JSONValue, at pointer: String, depth: Int
  ) throws(GrammarError) -> [Expression] {
    if schema["$ref"] != nil { return [try target(of: schema, at: pointer, depth: depth)] }
    for name in ["anyOf", "oneOf"] where schema[name] != nil {
      return try union(name, of: schema, at: pointer, depth: depth)
    }
    for name in ["const", "enum"] where schema[name] != nil { return try values(name, of: schema, at: pointer) }
    if schema["allOf"] != nil { return [try intersection(schema, at: pointer, depth: depth)] }
    if let types = schema["type"]?.arrayValue {
      var choices: [Expression] = []
      for type in types { choices.append(try typed(type.stringValue, schema, at: pointer, depth: depth)) }
      return choices
    }
    return [
      try typed(schema["type"]?.stringValue ?? SchemaKeywords.impliedType(schema), schema, at: pointer, depth: depth)
    ]
  }

  /// - Parameter type: nil: any.
  private mutating func typed(
    _ type: String?, _ schema: JSONValue, at pointer: String, depth: Int
  ) throws(GrammarError) -> Expression {
    switch type {
    case nil: return try anyValue()
    case "null": return .text("null")
    case "boolean": return .choice([.text("true"), .text("false")])
    case "string": return try string(schema, at: pointer)
    case "integer": return try integer(schema, at: pointer)
    case "number": return try number(schema, at: pointer)
    case "array": return try array(schema, at: pointer, depth: depth)
    case "object": return try object(of: try members(schema, at: pointer), at: pointer, depth: depth)
    case .some(let other): throw GrammarError("\(pointer)/type", "'\(other)' is no type")
    }
  }

  // MARK: Values of any kind

  mutating func anyValue() throws(GrammarError) -> Expression {
    try rule("value") { compiler throws(GrammarError) in
      let string = try compiler.anyString()
      let number = try compiler.anyNumber()
      let object = try compiler.anyObject()
      let array = try compiler.anyArray()
      return .choice([object, array, string, number, .text("true"), .text("false"), .text("null")])
    }
  }

  mutating func anyObject() throws(GrammarError) -> Expression {
    try rule("object") { compiler throws(GrammarError) in
      let key = try compiler.anyString()
      let value = try compiler.anyValue()
      let space = try compiler.space()
      return compiler.list("{", "}", .sequence([key, space, .text(":"), space, value, space]), space, 0, nil)
    }
  }

  private mutating func anyArray() throws(GrammarError) -> Expression {
    try rule("array") { compiler throws(GrammarError) in
      let value = try compiler.anyValue()
      let space = try compiler.space()
      return compiler.list("[", "]", .sequence([value, space]), space, 0, nil)
    }
  }

  /// One blank or line break and some indentation: a model cannot fill its reply with white space.
  mutating func space() throws(GrammarError) -> Expression {
    try rule("space") { _ throws(GrammarError) in
      .optional(
        .choice([
          .text(" "),
          .sequence([.text("\n"), .repetition(.oneOf(" \t"), minimum: 0, maximum: 32)]),
        ]))
    }
  }

  /// - Parameter item: with the white space behind it.
  func list(
    _ open: String, _ close: String, _ item: Expression, _ space: Expression, _ minimum: Int, _ maximum: Int?
  ) -> Expression {
    if maximum == 0 { return .sequence([.text(open), space, .text(close)]) }
    let rest = Expression.repetition(
      .sequence([.text(","), space, item]), minimum: max(minimum - 1, 0), maximum: maximum.map { max($0 - 1, 0) })
    let items = Expression.sequence([item, rest])
    return .sequence([.text(open), space, minimum == 0 ? .optional(items) : items, .text(close)])
  }
}
