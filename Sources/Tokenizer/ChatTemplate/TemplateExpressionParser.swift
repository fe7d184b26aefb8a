/// Expressions, in Jinja's order of precedence: conditional, or, and, not, comparison, `+ -`, `~`, `* / // %`, `**`,
/// sign, primary, attributes, filters and tests.
extension TemplateParser {
  /// An expression, or several separated by commas.
  mutating func tuple(conditional: Bool = true) throws(TemplateError) -> TemplateExpression {
    let first = conditional ? try expression() : try disjunction()
    guard current == .symbol(",") else { return first }
    var elements = [first]
    while take(",") {
      if endsTuple { break }
      elements.append(conditional ? try expression() : try disjunction())
    }
    return .list(elements, isTuple: true)
  }

  private var endsTuple: Bool {
    switch current {
    case .outputEnd, .blockEnd, .symbol(")"), .end: true
    default: false
    }
  }

  mutating func expression() throws(TemplateError) -> TemplateExpression {
    try enter()
    defer { leave() }
    let value = try disjunction()
    guard takeName("if") else { return value }
    let test = try disjunction()
    let otherwise = takeName("else") ? try expression() : nil
    // `a if b if c` chains in Jinja's parser as well; nobody writes it, so that it is refused here.
    if current == .name("if") { throw error("unexpected 'if'") }
    return .conditional(value, test: test, otherwise: otherwise)
  }

  private mutating func disjunction() throws(TemplateError) -> TemplateExpression {
    var parts = [try conjunction()]
    while takeName("or") { parts.append(try conjunction()) }
    return parts.count == 1 ? parts[0] : .any(parts)
  }

  private mutating func conjunction() throws(TemplateError) -> TemplateExpression {
    var parts = [try negation()]
    while takeName("and") { parts.append(try negation()) }
    return parts.count == 1 ? parts[0] : .all(parts)
  }

  private mutating func negation() throws(TemplateError) -> TemplateExpression {
    guard current == .name("not") else { return try comparison() }
    try enter()
    defer { leave() }
    advance()
    return .not(try negation())
  }

  private mutating func comparison() throws(TemplateError) -> TemplateExpression {
    let first = try sum()
    var rest: [(TemplateExpression.Comparison, TemplateExpression)] = []
    while let comparison = takeComparison() { rest.append((comparison, try sum())) }
    return rest.isEmpty ? first : .comparison(first, rest)
  }

  private mutating func takeComparison() -> TemplateExpression.Comparison? {
    var result: TemplateExpression.Comparison?
    switch current {
    case .symbol(let symbol): result = TemplateExpression.Comparison(rawValue: symbol)
    case .name("in"): result = .isIn
    case .name("not") where next == .name("in"):
      advance()
      result = .isNotIn
    default: break
    }
    if result != nil { advance() }
    return result
  }

  private mutating func sum() throws(TemplateError) -> TemplateExpression {
    let first = try concatenation()
    var rest: [(TemplateExpression.Operator, TemplateExpression)] = []
    while case .symbol(let symbol) = current, symbol == "+" || symbol == "-" {
      advance()
      rest.append((symbol == "+" ? .add : .subtract, try concatenation()))
    }
    return rest.isEmpty ? first : .arithmetic(first, rest)
  }

  private mutating func concatenation() throws(TemplateError) -> TemplateExpression {
    var parts = [try product()]
    while take("~") { parts.append(try product()) }
    return parts.count == 1 ? parts[0] : .concatenation(parts)
  }

  private mutating func product() throws(TemplateError) -> TemplateExpression {
    let first = try power()
    var rest: [(TemplateExpression.Operator, TemplateExpression)] = []
    while case .symbol(let symbol) = current, ["*", "/", "//", "%"].contains(symbol),
      let operation = TemplateExpression.Operator(rawValue: symbol)
    {
      advance()
      rest.append((operation, try power()))
    }
    return rest.isEmpty ? first : .arithmetic(first, rest)
  }

  private mutating func power() throws(TemplateError) -> TemplateExpression {
    let first = try signed(filters: true)
    var rest: [(TemplateExpression.Operator, TemplateExpression)] = []
    while take("**") { rest.append((.power, try signed(filters: true))) }
    return rest.isEmpty ? first : .arithmetic(first, rest)
  }

  /// A sign binds closer than a filter, and looser than an attribute.
  private mutating func signed(filters: Bool) throws(TemplateError) -> TemplateExpression {
    try enter()
    defer { leave() }
    var value: TemplateExpression
    if take("-") {
      value = .negative(try signed(filters: false))
    } else if take("+") {
      value = .positive(try signed(filters: false))
    } else {
      value = try primary()
    }
    var suffixes: [TemplateSuffix] = []
    while let suffix = try access() { suffixes.append(suffix) }
    if filters {
      while true {
        if take("|") {
          suffixes.append(try filter())
        } else if takeName("is") {
          suffixes.append(try test())
        } else if current == .symbol("("), !suffixes.isEmpty {
          suffixes.append(.call(try arguments()))
        } else {
          break
        }
      }
    }
    if !suffixes.isEmpty { value = .postfix(value, suffixes) }
    return value
  }

  private mutating func primary() throws(TemplateError) -> TemplateExpression {
    switch current {
    case .name(let name):
      advance()
      switch name {
      case "true", "True": return .literal(.bool(true))
      case "false", "False": return .literal(.bool(false))
      case "none", "None": return .literal(.none)
      default: return .name(name)
      }
    case .string(var text):
      advance()
      // Neighbouring strings are one.
      while case .string(let more) = current {
        text += more
        advance()
      }
      return .literal(.string(text))
    case .integer(let value):
      advance()
      return .literal(.integer(value))
    case .float(let value):
      advance()
      return .literal(.float(value))
    case .symbol("("):
      advance()
      if take(")") { return .list([], isTuple: true) }
      let value = try tuple()
      try expect(")")
      return value
    case .symbol("["):
      advance()
      var elements: [TemplateExpression] = []
      while !take("]") {
        if !elements.isEmpty { try expect(",") }
        if take("]") { break }
        elements.append(try expression())
      }
      return .list(elements, isTuple: false)
    case .symbol("{"):
      advance()
      return .dictionary(try dictionaryEntries())
    default: throw error("expected an expression, found \(found())")
    }
  }

  private mutating func dictionaryEntries() throws(TemplateError) -> [(
    key: TemplateExpression, value: TemplateExpression
  )] {
    var entries: [(key: TemplateExpression, value: TemplateExpression)] = []
    while !take("}") {
      if !entries.isEmpty { try expect(",") }
      if take("}") { break }
      let key = try expression()
      try expect(":")
      entries.append((key, try expression()))
    }
    return entries
  }

  /// `.name`, `[index]`, `[from:to:step]` or a call.
  private mutating func access() throws(TemplateError) -> TemplateSuffix? {
    if take(".") {
      if case .integer(let index) = current {
        advance()
        return .index(.literal(.integer(index)))
      }
      return .attribute(try expectName())
    }
    if take("[") { return try subscription() }
    return current == .symbol("(") ? .call(try arguments()) : nil
  }

  private mutating func subscription() throws(TemplateError) -> TemplateSuffix {
    var parts: [TemplateExpression?] = [nil]
    while current != .symbol("]") {
      if take(":") {
        parts.append(nil)
        guard parts.count <= 3 else { throw error("too many ':' in a slice") }
      } else {
        guard parts[parts.count - 1] == nil else { throw error("expected ']', found \(found())") }
        parts[parts.count - 1] = try expression()
      }
    }
    advance()
    if parts.count == 1 {
      guard let index = parts[0] else { throw error("expected an index") }
      return .index(index)
    }
    return .slice(parts[0], parts[1], parts.count > 2 ? parts[2] : nil)
  }

  private mutating func arguments() throws(TemplateError) -> TemplateArguments {
    try expect("(")
    var result = TemplateArguments()
    var isFirst = true
    while !take(")") {
      if !isFirst { try expect(",") }
      isFirst = false
      if take(")") { break }
      if current == .symbol("*") || current == .symbol("**") { throw error("unpacked arguments are not supported") }
      if case .name(let name) = current, next == .symbol("=") {
        advance()
        advance()
        result.named.append((name, try expression()))
      } else {
        guard result.named.isEmpty else { throw error("a positional argument behind a named one") }
        result.positional.append(try expression())
      }
    }
    return result
  }

  private mutating func filter() throws(TemplateError) -> TemplateSuffix {
    let name = try expectName()
    return .filter(name, current == .symbol("(") ? try arguments() : TemplateArguments())
  }

  /// Filters behind one another; `first`: the first stands without its `|`.
  mutating func filters(first: Bool) throws(TemplateError) -> [TemplateSuffix] {
    var suffixes = first ? [try filter()] : []
    while take("|") { suffixes.append(try filter()) }
    return suffixes
  }

  private mutating func test() throws(TemplateError) -> TemplateSuffix {
    let negated = takeName("not")
    let name = try expectName()
    if current == .symbol("(") { return .test(name, try arguments(), negated: negated) }
    switch current {
    case .name("else"), .name("or"), .name("and"), .name("if"), .name("in"), .name("not"):
      return .test(name, TemplateArguments(), negated: negated)
    case .name("is"): throw error("tests cannot follow one another")
    case .name, .string, .integer, .float, .symbol("["), .symbol("{"):
      // One argument may stand without parentheses.
      var value = try primary()
      var suffixes: [TemplateSuffix] = []
      while let suffix = try access() { suffixes.append(suffix) }
      if !suffixes.isEmpty { value = .postfix(value, suffixes) }
      return .test(name, TemplateArguments(positional: [value]), negated: negated)
    default: return .test(name, TemplateArguments(), negated: negated)
    }
  }
}
