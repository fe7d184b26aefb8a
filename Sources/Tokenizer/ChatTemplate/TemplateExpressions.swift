import Glibc
import OccamCore

extension TemplateEvaluator {
  func evaluate(_ expression: TemplateExpression) throws(TemplateError) -> TemplateValue {
    try charge()
    try enter()
    defer { leave() }
    switch expression {
    case .literal(let literal): return TemplateValue(literal)
    case .name(let name): return lookup(name)
    case .list(let elements, let isTuple): return try list(try evaluate(all: elements), isTuple: isTuple)
    case .dictionary(let entries):
      var pairs: [(TemplateValue, TemplateValue)] = []
      for entry in entries { pairs.append((try evaluate(entry.key), try evaluate(entry.value))) }
      return try dictionary(pairs)
    case .arithmetic(let first, let rest):
      var value = try evaluate(first)
      for (operation, operand) in rest { value = try apply(operation, value, try evaluate(operand)) }
      return value
    case .concatenation(let parts):
      var joined = TemplateString.empty
      for part in parts {
        joined.append(try string(try evaluate(part)))
        guard joined.count <= limits.outputBytes else {
          throw limit("a text longer than \(limits.outputBytes) bytes")
        }
      }
      return try text(joined)
    case .comparison(let first, let rest): return .bool(try compare(first, rest))
    case .all(let parts): return try firstValue(of: parts) { !$0 }
    case .any(let parts): return try firstValue(of: parts) { $0 }
    case .not(let operand): return .bool(!(try evaluate(operand).isTrue))
    case .negative(let operand): return try apply(.subtract, .integer(0), try numeric(try evaluate(operand)))
    case .positive(let operand): return try apply(.add, .integer(0), try numeric(try evaluate(operand)))
    case .conditional(let value, let test, let otherwise):
      if try evaluate(test).isTrue { return try evaluate(value) }
      guard let otherwise else { return .undefined("the missing else of a conditional expression") }
      return try evaluate(otherwise)
    case .postfix(let base, let suffixes):
      var name = ""
      if case .name(let text) = base { name = text }
      return try apply(suffixes, to: try evaluate(base), name: name)
    }
  }

  func evaluate(all expressions: [TemplateExpression]) throws(TemplateError) -> [TemplateValue] {
    var values: [TemplateValue] = []
    for expression in expressions { values.append(try evaluate(expression)) }
    return values
  }

  /// The first operand whose truth ends the chain, else the last.
  private func firstValue(
    of parts: [TemplateExpression], where ends: (Bool) -> Bool
  ) throws(TemplateError) -> TemplateValue {
    var value = TemplateValue.none
    for part in parts {
      value = try evaluate(part)
      if ends(value.isTrue) { return value }
    }
    return value
  }

  private func numeric(_ value: TemplateValue) throws(TemplateError) -> TemplateValue {
    guard value.number != nil else { throw fail("\(value.typeName) has no sign") }
    return value
  }

  // MARK: Suffixes

  /// - Parameter name: the variable the chain begins with, for messages.
  func apply(
    _ suffixes: [TemplateSuffix], to base: TemplateValue, name: String
  ) throws(TemplateError) -> TemplateValue {
    var value = base
    for suffix in suffixes {
      try charge()
      switch suffix {
      case .attribute(let attribute): value = try member(of: value, attribute)
      case .index(let index): value = try element(of: value, try evaluate(index))
      case .slice(let from, let to, let step):
        var bounds: [Int?] = []
        for part in [from, to, step] {
          let bound = try part.map { (part) throws(TemplateError) in try evaluate(part) } ?? .none
          if case .none = bound {
            bounds.append(nil)
          } else if let integer = bound.integer {
            bounds.append(integer)
          } else {
            throw fail("a slice takes integers, not \(bound.typeName)")
          }
        }
        value = try slice(of: value, bounds[0], bounds[1], bounds[2] ?? 1)
      case .call(let arguments): value = try call(value, try evaluate(arguments))
      case .filter(let filter, let arguments): value = try apply(filter: filter, to: value, try evaluate(arguments))
      case .test(let test, let arguments, let negated):
        value = .bool(try self.test(test, value, try evaluate(arguments)) != negated)
      }
    }
    return value
  }

  private func evaluate(_ arguments: TemplateArguments) throws(TemplateError) -> TemplateCall {
    var call = TemplateCall(positional: try evaluate(all: arguments.positional))
    for (name, value) in arguments.named { call.named.append((name, try evaluate(value))) }
    return call
  }

  /// `value.name`: methods come before entries.
  func member(of value: TemplateValue, _ name: String) throws(TemplateError) -> TemplateValue {
    if try hasMethod(value, name) { return .method(of: value, name) }
    switch value {
    case .undefined(let what): throw fail("'\(what)' is undefined, so that it has no '\(name)'")
    case .dictionary(let dictionary): return dictionary[name] ?? .undefined(name)
    case .namespace(let namespace): return namespace.attributes[name] ?? .undefined(name)
    case .loop(let loop): return try loopMember(loop, name)
    default: return .undefined(name)
    }
  }

  /// `value[index]`: entries come before methods.
  private func element(of value: TemplateValue, _ index: TemplateValue) throws(TemplateError) -> TemplateValue {
    switch value {
    case .undefined(let what): throw fail("'\(what)' is undefined, so that it has no elements")
    case .dictionary(let dictionary):
      if let key = TemplateDictionary.key(index), let found = dictionary[key] { return found }
    case .list(let list):
      if let integer = index.integer { return item(list.items, integer) ?? .undefined("element \(integer)") }
    case .string(let text):
      if let integer = index.integer {
        try charge(text: text.count)
        return item(text.scalars.map { .string($0) }, integer) ?? .undefined("element \(integer)")
      }
    default: break
    }
    if case .string(let name) = index { return try member(of: value, name.text) }
    return .undefined("an element")
  }

  private func item(_ items: [TemplateValue], _ index: Int) -> TemplateValue? {
    let position = index < 0 ? index + items.count : index
    return items.indices.contains(position) ? items[position] : nil
  }

  private func slice(
    of value: TemplateValue, _ from: Int?, _ to: Int?, _ step: Int
  ) throws(TemplateError) -> TemplateValue {
    guard step != 0 else { throw fail("the step of a slice is 0") }
    switch value {
    case .undefined(let what): throw fail("'\(what)' is undefined, so that it has no elements")
    case .list(let list):
      let indices = try sliceIndices(list.items.count, from, to, step)
      return try self.list(indices.map { list.items[$0] }, isTuple: list.isTuple)
    case .string(let text):
      try charge(text: text.count)
      let scalars = text.scalars
      return try self.text(.joined(try sliceIndices(scalars.count, from, to, step).map { scalars[$0] }))
    default: throw fail("\(value.typeName) cannot be sliced")
    }
  }

  /// Python's rules: negative bounds count from the end, and bounds beyond the ends are moved there.
  private func sliceIndices(_ count: Int, _ from: Int?, _ to: Int?, _ step: Int) throws(TemplateError) -> [Int] {
    try charge(count)
    func bound(_ value: Int?, _ fallback: Int) -> Int {
      guard let value else { return fallback }
      let (lowest, highest) = step > 0 ? (0, count) : (-1, count - 1)
      let position = value < 0 ? max(value, -count - 1) + count : value
      return min(max(position, lowest), highest)
    }
    let start = bound(from, step > 0 ? 0 : count - 1)
    let end = bound(to, step > 0 ? count : -1)
    guard step > 0 ? start < end : start > end else { return [] }
    // A step longer than the list takes one element, and must not overflow.
    return Array(stride(from: start, to: end, by: min(max(step, -count - 1), count + 1)))
  }

  private func loopMember(_ loop: TemplateLoopState, _ name: String) throws(TemplateError) -> TemplateValue {
    let count = loop.items.items.count
    switch name {
    case "index": return .integer(loop.index + 1)
    case "index0": return .integer(loop.index)
    case "revindex": return .integer(count - loop.index)
    case "revindex0": return .integer(count - loop.index - 1)
    case "first": return .bool(loop.index == 0)
    case "last": return .bool(loop.index == count - 1)
    case "length": return .integer(count)
    case "previtem": return loop.index > 0 ? loop.items.items[loop.index - 1] : .undefined("loop.previtem")
    case "nextitem": return loop.index + 1 < count ? loop.items.items[loop.index + 1] : .undefined("loop.nextitem")
    default: return .undefined("loop.\(name)")
    }
  }

  /// What a loop runs over.
  func elements(of value: TemplateValue) throws(TemplateError) -> [TemplateValue] {
    switch value {
    case .undefined: return []
    case .list(let list):
      try charge(list.items.count)
      return list.items
    case .dictionary(let dictionary):
      try charge(dictionary.count)
      return dictionary.keys
    case .string(let text):
      try charge(text.count)
      return text.scalars.map { .string($0) }
    default: throw fail("\(value.typeName) is not a sequence")
    }
  }

  // MARK: Arithmetic

  private func apply(
    _ operation: TemplateExpression.Operator, _ left: TemplateValue, _ right: TemplateValue
  ) throws(TemplateError) -> TemplateValue {
    switch (operation, left, right) {
    case (_, .undefined(let name), _), (_, _, .undefined(let name)):
      throw fail("'\(name)' is undefined, so that '\(operation.rawValue)' cannot use it")
    case (.add, .string(let left), .string(let right)):
      guard left.count + right.count <= limits.outputBytes else {
        throw limit("a text longer than \(limits.outputBytes) bytes")
      }
      return try text(left + right)
    case (.add, .list(let left), .list(let right)) where left.isTuple == right.isTuple:
      return try list(left.items + right.items, isTuple: left.isTuple)
    case (.multiply, .string(let text), _) where right.integer != nil: return try repeated(text, right.integer ?? 0)
    case (.multiply, _, .string(let text)) where left.integer != nil: return try repeated(text, left.integer ?? 0)
    default: break
    }
    if let left = left.integer, let right = right.integer, operation != .divide {
      return try integer(operation, left, right)
    }
    guard let left = left.number, let right = right.number else {
      throw fail("'\(operation.rawValue)' does not join \(left.typeName) and \(right.typeName)")
    }
    return .float(try float(operation, left, right))
  }

  private func repeated(_ text: TemplateString, _ count: Int) throws(TemplateError) -> TemplateValue {
    let (size, overflow) = text.count.multipliedReportingOverflow(by: max(count, 0))
    guard !overflow, size <= limits.outputBytes else { throw limit("a text longer than \(limits.outputBytes) bytes") }
    if size == 0 { return try self.text("") }
    if let isInput = text.origin {
      return try self.text(TemplateString(String(repeating: text.text, count: count), isInput: isInput))
    }
    // Two bytes and a range at least each time: what `text` charges, before it is made.
    try charge(text: size + TemplateString.rangeCost * text.inputs.count * count)
    var result = TemplateString.empty
    for _ in 0..<count { result.append(text) }
    return try self.text(result)
  }

  private func integer(
    _ operation: TemplateExpression.Operator, _ left: Int, _ right: Int
  ) throws(TemplateError) -> TemplateValue {
    var result: (partialValue: Int, overflow: Bool)
    switch operation {
    case .add: result = left.addingReportingOverflow(right)
    case .subtract: result = left.subtractingReportingOverflow(right)
    case .multiply: result = left.multipliedReportingOverflow(by: right)
    case .floorDivide, .remainder, .divide:
      guard right != 0 else { throw fail("division by zero") }
      let quotient = left.dividedReportingOverflow(by: right)
      let remainder = left.remainderReportingOverflow(dividingBy: right).partialValue
      // Python rounds down, and the remainder has the divisor's sign.
      let below = remainder != 0 && (remainder < 0) != (right < 0)
      result =
        operation == .remainder
        ? (below ? remainder + right : remainder, false)
        : (below ? quotient.partialValue - 1 : quotient.partialValue, quotient.overflow)
    case .power:
      guard right >= 0 else { return .float(pow(Double(left), Double(right))) }
      result = (1, false)
      // At most 63 doublings before an overflow, but for these three.
      if left == 0 || left == 1 || left == -1 {
        return .integer(right == 0 ? 1 : left == -1 && right % 2 == 0 ? 1 : left)
      }
      for _ in 0..<min(right, 64) where !result.overflow {
        result = result.partialValue.multipliedReportingOverflow(by: left)
      }
      if right > 64 { result.overflow = true }
    }
    guard !result.overflow else { throw fail("the result of '\(operation.rawValue)' is too large") }
    return .integer(result.partialValue)
  }

  private func float(
    _ operation: TemplateExpression.Operator, _ left: Double, _ right: Double
  ) throws(TemplateError) -> Double {
    if [.divide, .floorDivide, .remainder].contains(operation), right == 0 { throw fail("division by zero") }
    switch operation {
    case .add: return left + right
    case .subtract: return left - right
    case .multiply: return left * right
    case .divide: return left / right
    case .floorDivide: return (left / right).rounded(.down)
    case .remainder: return left - right * (left / right).rounded(.down)
    case .power: return pow(left, right)
    }
  }

  // MARK: Comparison

  private func compare(
    _ first: TemplateExpression, _ rest: [(TemplateExpression.Comparison, TemplateExpression)]
  ) throws(TemplateError) -> Bool {
    var left = try evaluate(first)
    for (comparison, operand) in rest {
      let right = try evaluate(operand)
      guard try compare(comparison, left, right) else { return false }
      left = right
    }
    return true
  }

  func compare(
    _ comparison: TemplateExpression.Comparison, _ left: TemplateValue, _ right: TemplateValue
  ) throws(TemplateError) -> Bool {
    switch comparison {
    case .equal: return try equal(left, right)
    case .unequal: return try !equal(left, right)
    case .isIn: return try contains(right, left)
    case .isNotIn: return try !contains(right, left)
    case .less: return try order(left, right, "<") < 0
    case .lessOrEqual: return try order(left, right, "<=") <= 0
    case .greater: return try order(left, right, ">") > 0
    case .greaterOrEqual: return try order(left, right, ">=") >= 0
    }
  }

  func equal(_ left: TemplateValue, _ right: TemplateValue) throws(TemplateError) -> Bool {
    try charge()
    if let left = left.integer, let right = right.integer { return left == right }
    if let left = left.number, let right = right.number { return left == right }
    switch (left, right) {
    case (.undefined, .undefined), (.none, .none): return true
    case (.string(let left), .string(let right)):
      try charge(text: min(left.count, right.count))
      return sameText(left.text, right.text)
    case (.list(let left), .list(let right)):
      guard left.isTuple == right.isTuple, left.items.count == right.items.count else { return false }
      for (left, right) in zip(left.items, right.items) where try !equal(left, right) { return false }
      return true
    case (.dictionary(let left), .dictionary(let right)):
      guard left.count == right.count else { return false }
      for (key, value) in zip(left.keys, left.values) {
        guard let key = TemplateDictionary.key(key), let other = right[key], try equal(value, other) else {
          return false
        }
      }
      return true
    case (.namespace(let left), .namespace(let right)): return left === right
    case (.function(let left), .function(let right)): return left == right
    case (.macro(let left), .macro(let right)): return left == right
    default: return false
    }
  }

  /// Below, equal or above: -1, 0 or 1.
  func order(_ left: TemplateValue, _ right: TemplateValue, _ symbol: String) throws(TemplateError) -> Int {
    try charge()
    if let left = left.number, let right = right.number { return left < right ? -1 : left > right ? 1 : 0 }
    switch (left, right) {
    case (.string(let left), .string(let right)):
      try charge(text: min(left.count, right.count))
      // The order of UTF-8 bytes is that of the code points.
      if left.text.utf8.lexicographicallyPrecedes(right.text.utf8) { return -1 }
      return sameText(left.text, right.text) ? 0 : 1
    case (.list(let left), .list(let right)) where left.isTuple == right.isTuple:
      for (left, right) in zip(left.items, right.items) {
        let result = try order(left, right, symbol)
        if result != 0 { return result }
      }
      return (left.items.count - right.items.count).signum()
    case (.undefined(let name), _), (_, .undefined(let name)):
      throw fail("'\(name)' is undefined, so that '\(symbol)' cannot use it")
    default: throw fail("'\(symbol)' does not compare \(left.typeName) and \(right.typeName)")
    }
  }

  func contains(_ container: TemplateValue, _ value: TemplateValue) throws(TemplateError) -> Bool {
    switch container {
    case .string(let text):
      guard case .string(let part) = value else { throw fail("a string cannot contain \(value.typeName)") }
      try charge(text: text.count)
      return find(Array(part.text.utf8), in: Array(text.text.utf8), from: 0) != nil
    case .dictionary(let dictionary): return TemplateDictionary.key(value).flatMap { dictionary[$0] } != nil
    case .list(let list):
      for item in list.items where try equal(item, value) { return true }
      return false
    case .undefined: return false
    default: throw fail("\(container.typeName) is not a container")
    }
  }
}
