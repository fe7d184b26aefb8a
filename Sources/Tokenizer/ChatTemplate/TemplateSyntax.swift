/// A template after parsing. Chains are stored flat, so that only real nesting makes a deep tree.
indirect enum TemplateExpression: Sendable {
  enum Literal: Sendable {
    case none
    case bool(Bool)
    case integer(Int)
    case float(Double)
    case string(String)
  }
  enum Operator: String, Sendable {
    case add = "+"
    case subtract = "-"
    case multiply = "*"
    case divide = "/"
    case floorDivide = "//"
    case remainder = "%"
    case power = "**"
  }
  enum Comparison: String, Sendable {
    case equal = "=="
    case unequal = "!="
    case less = "<"
    case lessOrEqual = "<="
    case greater = ">"
    case greaterOrEqual = ">="
    case isIn = "in"
    case isNotIn = "not in"
  }

  case literal(Literal)
  case name(String)
  case list([TemplateExpression], isTuple: Bool)
  case dictionary([(key: TemplateExpression, value: TemplateExpression)])
  case arithmetic(TemplateExpression, [(Operator, TemplateExpression)])
  case concatenation([TemplateExpression])
  case comparison(TemplateExpression, [(Comparison, TemplateExpression)])
  case all([TemplateExpression])
  case any([TemplateExpression])
  case not(TemplateExpression)
  case negative(TemplateExpression)
  case positive(TemplateExpression)
  case conditional(TemplateExpression, test: TemplateExpression, otherwise: TemplateExpression?)
  case postfix(TemplateExpression, [TemplateSuffix])
}

struct TemplateArguments: Sendable {
  var positional: [TemplateExpression] = []
  var named: [(name: String, value: TemplateExpression)] = []
}

enum TemplateSuffix: Sendable {
  case attribute(String)
  case index(TemplateExpression)
  case slice(TemplateExpression?, TemplateExpression?, TemplateExpression?)
  case call(TemplateArguments)
  case filter(String, TemplateArguments)
  case test(String, TemplateArguments, negated: Bool)
}

indirect enum TemplateTarget: Sendable {
  case name(String)
  case attribute(of: String, String)
  case tuple([TemplateTarget])
}

struct TemplateParameter: Sendable {
  let name: String
  let fallback: TemplateExpression?
}

final class TemplateMacro: Sendable {
  let name: String
  let parameters: [TemplateParameter]
  let body: [TemplateNode]

  init(name: String, parameters: [TemplateParameter], body: [TemplateNode]) {
    self.name = name
    self.parameters = parameters
    self.body = body
  }
}

struct TemplateLoop: Sendable {
  let target: TemplateTarget
  let sequence: TemplateExpression
  let filter: TemplateExpression?
  let body: [TemplateNode]
  let otherwise: [TemplateNode]
}

indirect enum TemplateStatement: Sendable {
  case text(String)
  case output(TemplateExpression)
  case conditional([(test: TemplateExpression, body: [TemplateNode])], otherwise: [TemplateNode])
  case loop(TemplateLoop)
  case set(TemplateTarget, TemplateExpression)
  case setBlock(TemplateTarget, filters: [TemplateSuffix], body: [TemplateNode])
  case macro(TemplateMacro)
  case call(TemplateExpression, caller: TemplateMacro)
  case filter([TemplateSuffix], body: [TemplateNode])
  case with([(TemplateTarget, TemplateExpression)], body: [TemplateNode])
  /// Statements without a scope of their own (generation marks).
  case group([TemplateNode])
  case leaveLoop
  case nextIteration
}

struct TemplateNode: Sendable {
  let line: Int
  let statement: TemplateStatement
}
