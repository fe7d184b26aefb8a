import OccamCore

/// Runs one template once.
final class TemplateEvaluator {
  final class Scope { var variables: [String: TemplateValue] = [:] }

  struct Closure {
    let macro: TemplateMacro
    let scopes: [Scope]
  }

  enum Flow { case onward, leaveLoop, nextIteration }

  let limits: TemplateLimits
  /// Seconds since 1970, for strftime_now.
  let now: Int
  var line = 1
  private var steps = 0
  private var nesting = 0
  private var scopes: [Scope]
  private var closures: [Closure] = []
  private var namespaces: [TemplateNamespace] = []
  private var output = TemplateString.empty

  init(variables: [String: TemplateValue], limits: TemplateLimits, now: Int) {
    self.limits = limits
    self.now = now
    let globals = Scope()
    for name in TemplateEvaluator.globalFunctions { globals.variables[name] = .function(name) }
    globals.variables.merge(variables) { $1 }
    scopes = [globals, Scope()]
  }

  func render(_ nodes: [TemplateNode]) throws(TemplateError) -> TemplateString {
    // Namespaces may hold each other; emptied, they all go.
    defer { for namespace in namespaces { namespace.attributes = [:] } }
    _ = try run(nodes)
    return output
  }

  // MARK: Costs and errors

  func fail(_ reason: String) -> TemplateError { TemplateError(.evaluation, line: line, reason) }

  func limit(_ reason: String) -> TemplateError { TemplateError(.limit, line: line, reason) }

  func charge(_ cost: Int = 1) throws(TemplateError) {
    steps += cost
    guard steps <= limits.steps else { throw limit("more than \(limits.steps) steps") }
  }

  func charge(text bytes: Int) throws(TemplateError) { try charge(1 + bytes / 8) }

  func enter() throws(TemplateError) {
    nesting += 1
    guard nesting <= limits.nesting * 2 else { throw limit("nested deeper than \(limits.nesting * 2)") }
  }

  func leave() { nesting -= 1 }

  /// Every text that is made passes here.
  func text(_ value: TemplateString) throws(TemplateError) -> TemplateValue {
    let size = value.count
    guard size <= limits.outputBytes else { throw limit("a text longer than \(limits.outputBytes) bytes") }
    try charge(text: size + TemplateString.rangeCost * value.inputs.count)
    return .string(value)
  }

  /// A text that the template makes of nothing that came in.
  func text(_ value: String) throws(TemplateError) -> TemplateValue { try text(TemplateString(value)) }

  /// Every list that is made passes here.
  func list(_ items: [TemplateValue], isTuple: Bool = false) throws(TemplateError) -> TemplateValue {
    try charge(1 + 4 * items.count)
    let depth = items.reduce(0) { max($0, $1.depth) } + 1
    guard depth <= limits.valueDepth else { throw limit("lists nested deeper than \(limits.valueDepth)") }
    return .list(TemplateList(items: items, isTuple: isTuple, depth: depth))
  }

  func dictionary(_ entries: [(TemplateValue, TemplateValue)]) throws(TemplateError) -> TemplateValue {
    try charge(1 + 8 * entries.count)
    var result = TemplateDictionary()
    for (name, value) in entries {
      guard let key = TemplateDictionary.key(name) else { throw fail("\(name.typeName) cannot be a key") }
      result.set(name, key: key, value)
    }
    guard result.depth <= limits.valueDepth else { throw limit("lists nested deeper than \(limits.valueDepth)") }
    return .dictionary(result)
  }

  func namespace(_ attributes: [String: TemplateValue]) throws(TemplateError) -> TemplateValue {
    try charge(64)
    let namespace = TemplateNamespace()
    namespace.attributes = attributes
    namespaces.append(namespace)
    return .namespace(namespace)
  }

  private func emit(_ text: TemplateString) throws(TemplateError) {
    let size = text.count
    try charge(text: size + TemplateString.rangeCost * text.inputs.count)
    guard output.count + size <= limits.outputBytes else {
      throw limit("more than \(limits.outputBytes) bytes of output")
    }
    output.append(text)
  }

  /// What `body` writes, instead of writing it.
  private func captured(_ nodes: [TemplateNode]) throws(TemplateError) -> TemplateString {
    let outer = output
    output = .empty
    defer { output = outer }
    _ = try run(nodes)
    return output
  }

  // MARK: Statements

  private func run(_ nodes: [TemplateNode]) throws(TemplateError) -> Flow {
    try enter()
    defer { leave() }
    for node in nodes {
      try charge()
      line = node.line
      let flow = try run(node.statement)
      if flow != .onward { return flow }
    }
    return .onward
  }

  private func run(_ statement: TemplateStatement) throws(TemplateError) -> Flow {
    switch statement {
    case .text(let text): try emit(TemplateString(text))
    case .output(let expression): try emit(try string(try evaluate(expression)))
    case .conditional(let branches, let otherwise):
      for branch in branches where try evaluate(branch.test).isTrue { return try run(branch.body) }
      return try run(otherwise)
    case .loop(let loop): try run(loop)
    case .set(let target, let expression): try assign(target, try evaluate(expression))
    case .setBlock(let target, let filters, let body):
      let content = try inScope { () throws(TemplateError) in try self.captured(body) }
      try assign(target, try apply(filters, to: try text(content), name: ""))
    case .macro(let macro): try assign(.name(macro.name), try closure(macro))
    case .call(let expression, let caller):
      try inScope { () throws(TemplateError) in
        self.scopes[self.scopes.count - 1].variables["caller"] = try self.closure(caller)
        try self.emit(try self.string(try self.evaluate(expression)))
      }
    case .filter(let filters, let body):
      let content = try inScope { () throws(TemplateError) in try self.captured(body) }
      try emit(try string(try apply(filters, to: try text(content), name: "")))
    case .with(let bindings, let body):
      return try inScope { () throws(TemplateError) in
        for (target, value) in bindings { try self.assign(target, try self.evaluate(value)) }
        return try self.run(body)
      }
    case .group(let nodes): return try run(nodes)
    case .leaveLoop: return .leaveLoop
    case .nextIteration: return .nextIteration
    }
    return .onward
  }

  private func inScope<R>(_ body: () throws(TemplateError) -> R) throws(TemplateError) -> R {
    scopes.append(Scope())
    defer { scopes.removeLast() }
    return try body()
  }

  private func run(_ loop: TemplateLoop) throws(TemplateError) {
    var items = try elements(of: try evaluate(loop.sequence))
    if let filter = loop.filter {
      var kept: [TemplateValue] = []
      for item in items {
        let keeps = try inScope { () throws(TemplateError) in
          try self.assign(loop.target, item)
          return try self.evaluate(filter).isTrue
        }
        if keeps { kept.append(item) }
      }
      items = kept
    }
    if items.isEmpty {
      _ = try inScope { () throws(TemplateError) in try self.run(loop.otherwise) }
      return
    }
    guard case .list(let list) = try list(items) else { return }
    for (index, item) in items.enumerated() {
      let flow = try inScope { () throws(TemplateError) in
        self.scopes[self.scopes.count - 1].variables["loop"] = .loop(TemplateLoopState(items: list, index: index))
        try self.assign(loop.target, item)
        return try self.run(loop.body)
      }
      if flow == .leaveLoop { break }
    }
  }

  private func assign(_ target: TemplateTarget, _ value: TemplateValue) throws(TemplateError) {
    switch target {
    case .name(let name): scopes[scopes.count - 1].variables[name] = value
    case .attribute(let name, let attribute):
      guard case .namespace(let namespace) = lookup(name) else { throw fail("'\(name)' is not a namespace") }
      try charge()
      namespace.attributes[attribute] = value
    case .tuple(let targets):
      let items = try elements(of: value)
      guard items.count == targets.count else {
        throw fail("cannot unpack \(items.count) values into \(targets.count) names")
      }
      for (target, item) in zip(targets, items) { try assign(target, item) }
    }
  }

  func lookup(_ name: String) -> TemplateValue {
    for scope in scopes.reversed() { if let value = scope.variables[name] { return value } }
    return .undefined(name)
  }

  // MARK: Macros

  private func closure(_ macro: TemplateMacro) throws(TemplateError) -> TemplateValue {
    // It holds on to every scope around it.
    try charge(1000)
    closures.append(Closure(macro: macro, scopes: scopes))
    return .macro(closures.count - 1)
  }

  func call(macro number: Int, _ arguments: TemplateCall) throws(TemplateError) -> TemplateValue {
    let closure = closures[number]
    let parameters = closure.macro.parameters
    guard arguments.positional.count <= parameters.count else {
      throw fail("'\(closure.macro.name)' takes \(parameters.count) arguments, not \(arguments.positional.count)")
    }
    for (name, _) in arguments.named where name != "caller" && !parameters.contains(where: { $0.name == name }) {
      throw fail("'\(closure.macro.name)' takes no argument '\(name)'")
    }
    let caller = lookup("caller")
    let outer = scopes
    scopes = closure.scopes + [Scope()]
    defer { scopes = outer }
    let scope = scopes[scopes.count - 1]
    if closure.macro.name != "caller", !caller.isUndefined { scope.variables["caller"] = caller }
    for (index, parameter) in parameters.enumerated() {
      if index < arguments.positional.count {
        scope.variables[parameter.name] = arguments.positional[index]
      } else if let value = arguments[parameter.name] {
        scope.variables[parameter.name] = value
      } else if let fallback = parameter.fallback {
        scope.variables[parameter.name] = try evaluate(fallback)
      } else {
        scope.variables[parameter.name] = .undefined(parameter.name)
      }
    }
    return try text(try captured(closure.macro.body))
  }
}

/// Arguments of one call, evaluated.
struct TemplateCall {
  var positional: [TemplateValue] = []
  var named: [(name: String, value: TemplateValue)] = []

  subscript(name: String) -> TemplateValue? { named.first { $0.name == name }?.value }

  /// By position, else by name.
  subscript(index: Int, name: String) -> TemplateValue? {
    index < positional.count ? positional[index] : self[name]
  }
}
