/// Tokens -> statements. Expressions are in TemplateExpressionParser.swift.
struct TemplateParser {
  private let tokens: [TemplateToken]
  private var index = 0
  private let limits: TemplateLimits
  private var nesting = 0
  private var loops = 0

  static func parse(_ source: String, limits: TemplateLimits) throws(TemplateError) -> [TemplateNode] {
    guard source.utf8.count <= limits.sourceBytes else {
      throw TemplateError(.limit, line: 1, "the template is longer than \(limits.sourceBytes) bytes")
    }
    var parser = TemplateParser(tokens: try TemplateLexer.tokens(source), limits: limits)
    return try parser.nodes(until: [], opener: "")
  }

  private init(tokens: [TemplateToken], limits: TemplateLimits) {
    self.tokens = tokens
    self.limits = limits
  }

  // MARK: Tokens

  var current: TemplateToken.Kind { index < tokens.count ? tokens[index].kind : .end }
  var next: TemplateToken.Kind { index + 1 < tokens.count ? tokens[index + 1].kind : .end }
  var line: Int { tokens.isEmpty ? 1 : tokens[min(index, tokens.count - 1)].line }

  mutating func advance() { index += 1 }

  func error(_ reason: String) -> TemplateError { TemplateError(.syntax, line: line, reason) }

  func found() -> String {
    switch current {
    case .text: "text"
    case .outputBegin: "'{{'"
    case .outputEnd: "'}}'"
    case .blockBegin: "'{%'"
    case .blockEnd: "'%}'"
    case .name(let name): "'\(name)'"
    case .string: "a string"
    case .integer, .float: "a number"
    case .symbol(let symbol): "'\(symbol)'"
    case .end: "the end"
    }
  }

  mutating func take(_ symbol: String) -> Bool {
    guard current == .symbol(symbol) else { return false }
    index += 1
    return true
  }

  mutating func takeName(_ name: String) -> Bool {
    guard current == .name(name) else { return false }
    index += 1
    return true
  }

  mutating func expect(_ symbol: String) throws(TemplateError) {
    guard take(symbol) else { throw error("expected '\(symbol)', found \(found())") }
  }

  mutating func expectName() throws(TemplateError) -> String {
    guard case .name(let name) = current else { throw error("expected a name, found \(found())") }
    index += 1
    return name
  }

  private mutating func expectBlockEnd() throws(TemplateError) {
    guard current == .blockEnd else { throw error("expected '%}', found \(found())") }
    index += 1
  }

  mutating func enter() throws(TemplateError) {
    nesting += 1
    guard nesting <= limits.nesting else {
      throw TemplateError(.limit, line: line, "nested deeper than \(limits.nesting)")
    }
  }

  mutating func leave() { nesting -= 1 }

  // MARK: Statements

  /// Statements up to a tag whose name is in `ends`, which is left at its name; to the end of the template without.
  private mutating func nodes(until ends: [String], opener: String) throws(TemplateError) -> [TemplateNode] {
    try enter()
    defer { leave() }
    var nodes: [TemplateNode] = []
    while true {
      let line = line
      switch current {
      case .text(let text):
        advance()
        nodes.append(TemplateNode(line: line, statement: .text(text)))
      case .outputBegin:
        advance()
        let expression = try tuple()
        guard current == .outputEnd else { throw error("expected '}}', found \(found())") }
        advance()
        nodes.append(TemplateNode(line: line, statement: .output(expression)))
      case .blockBegin:
        advance()
        if case .name(let name) = current, ends.contains(name) { return nodes }
        nodes.append(TemplateNode(line: line, statement: try statement(in: opener)))
      case .end:
        guard ends.isEmpty else { throw error("'\(opener)' has no '\(ends[ends.count - 1])'") }
        return nodes
      default: throw error("unexpected \(found())")
      }
    }
  }

  /// The body of a block with one end tag, which is consumed.
  private mutating func body(of opener: String) throws(TemplateError) -> [TemplateNode] {
    try expectBlockEnd()
    let nodes = try nodes(until: ["end" + opener], opener: opener)
    advance()
    if opener == "macro" || opener == "set", case .name = current { advance() }
    try expectBlockEnd()
    return nodes
  }

  private mutating func statement(in opener: String) throws(TemplateError) -> TemplateStatement {
    let name = try expectName()
    switch name {
    case "if": return try conditional()
    case "for": return try loop()
    case "set": return try assignment()
    case "macro":
      let name = try expectName()
      return .macro(TemplateMacro(name: name, parameters: try parameters(), body: try definition("macro")))
    case "call":
      let parameters = current == .symbol("(") ? try parameters() : []
      let target = try expression()
      return .call(target, caller: TemplateMacro(name: "caller", parameters: parameters, body: try definition("call")))
    case "filter":
      let suffixes = try filters(first: true)
      return .filter(suffixes, body: try body(of: "filter"))
    case "with": return try with()
    case "generation": return .group(try body(of: "generation"))
    case "break", "continue":
      guard loops > 0 else { throw error("'\(name)' outside a loop") }
      try expectBlockEnd()
      return name == "break" ? .leaveLoop : .nextIteration
    default:
      let place = opener.isEmpty ? "" : " inside '\(opener)'"
      throw error(
        name.hasPrefix("end") || name.hasPrefix("el")
          ? "unexpected '\(name)'\(place)" : "the statement '\(name)' is not supported\(place)")
    }
  }

  /// The body of a macro: loops outside do not count in it.
  private mutating func definition(_ opener: String) throws(TemplateError) -> [TemplateNode] {
    let outer = loops
    loops = 0
    defer { loops = outer }
    return try body(of: opener)
  }

  private mutating func conditional() throws(TemplateError) -> TemplateStatement {
    var branches: [(test: TemplateExpression, body: [TemplateNode])] = []
    while true {
      let test = try tuple()
      try expectBlockEnd()
      branches.append((test, try nodes(until: ["elif", "else", "endif"], opener: "if")))
      if takeName("elif") { continue }
      var otherwise: [TemplateNode] = []
      if takeName("else") {
        try expectBlockEnd()
        otherwise = try nodes(until: ["endif"], opener: "if")
      }
      advance()
      try expectBlockEnd()
      return .conditional(branches, otherwise: otherwise)
    }
  }

  private mutating func loop() throws(TemplateError) -> TemplateStatement {
    let target = try target(attributes: false)
    guard takeName("in") else { throw error("expected 'in', found \(found())") }
    let sequence = try tuple(conditional: false)
    let filter = takeName("if") ? try expression() : nil
    if current == .name("recursive") { throw error("recursive loops are not supported") }
    try expectBlockEnd()
    loops += 1
    let body = try nodes(until: ["else", "endfor"], opener: "for")
    loops -= 1
    var otherwise: [TemplateNode] = []
    if takeName("else") {
      try expectBlockEnd()
      otherwise = try nodes(until: ["endfor"], opener: "for")
    }
    advance()
    try expectBlockEnd()
    return .loop(
      TemplateLoop(target: target, sequence: sequence, filter: filter, body: body, otherwise: otherwise))
  }

  private mutating func assignment() throws(TemplateError) -> TemplateStatement {
    let target = try target(attributes: true)
    if take("=") {
      let value = try tuple()
      try expectBlockEnd()
      return .set(target, value)
    }
    let suffixes = current == .symbol("|") ? try filters(first: false) : []
    return .setBlock(target, filters: suffixes, body: try body(of: "set"))
  }

  private mutating func with() throws(TemplateError) -> TemplateStatement {
    var bindings: [(TemplateTarget, TemplateExpression)] = []
    while current != .blockEnd {
      if !bindings.isEmpty { try expect(",") }
      let target = try target(attributes: false)
      try expect("=")
      bindings.append((target, try expression()))
    }
    return .with(bindings, body: try body(of: "with"))
  }

  private mutating func parameters() throws(TemplateError) -> [TemplateParameter] {
    try expect("(")
    var parameters: [TemplateParameter] = []
    while !take(")") {
      if !parameters.isEmpty { try expect(",") }
      let name = try expectName()
      parameters.append(TemplateParameter(name: name, fallback: take("=") ? try expression() : nil))
    }
    return parameters
  }

  /// `a`, `a, b`, `(a, b)`; with `attributes` also `namespace.name`.
  private mutating func target(attributes: Bool) throws(TemplateError) -> TemplateTarget {
    try enter()
    defer { leave() }
    var targets: [TemplateTarget] = []
    var isTuple = false
    while true {
      if take("(") {
        targets.append(try target(attributes: false))
        try expect(")")
      } else {
        let name = try expectName()
        guard !["true", "false", "none", "True", "False", "None", "in", "if", "not"].contains(name) else {
          throw error("cannot assign to '\(name)'")
        }
        targets.append(attributes && take(".") ? .attribute(of: name, try expectName()) : .name(name))
      }
      guard take(",") else { break }
      isTuple = true
      if current == .symbol("=") || current == .symbol(")") || current == .name("in") { break }
    }
    return isTuple ? .tuple(targets) : targets[0]
  }
}
