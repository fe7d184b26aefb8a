/// Tests: `value is name(arguments)`.
extension TemplateEvaluator {
  func test(_ name: String, _ value: TemplateValue, _ arguments: TemplateCall) throws(TemplateError) -> Bool {
    if let comparison = TemplateEvaluator.comparisons[name] {
      return try compare(comparison, value, try argument(name, arguments))
    }
    switch name {
    case "defined": return !value.isUndefined
    case "undefined": return value.isUndefined
    case "none": if case .none = value { return true } else { return false }
    case "boolean": if case .bool = value { return true } else { return false }
    case "true": if case .bool(true) = value { return true } else { return false }
    case "false": if case .bool(false) = value { return true } else { return false }
    case "integer": if case .integer = value { return true } else { return false }
    case "float": if case .float = value { return true } else { return false }
    case "number": return value.number != nil
    case "string": if case .string = value { return true } else { return false }
    case "mapping": if case .dictionary = value { return true } else { return false }
    case "sequence":
      switch value {
      case .string, .list, .dictionary, .undefined: return true
      default: return false
      }
    case "iterable":
      switch value {
      case .string, .list, .dictionary, .undefined, .loop: return true
      default: return false
      }
    case "callable":
      switch value {
      case .function, .method, .macro: return true
      default: return false
      }
    case "odd", "even":
      guard let integer = value.integer else { throw fail("\(value.typeName) is neither odd nor even") }
      return (integer % 2 != 0) == (name == "odd")
    case "divisibleby":
      guard let integer = value.integer, let divisor = try argument(name, arguments).integer, divisor != 0 else {
        throw fail("'divisibleby' takes integers, and no 0")
      }
      return integer.remainderReportingOverflow(dividingBy: divisor).partialValue == 0
    case "lower", "upper":
      let text = try string(value).text
      try charge(text: text.utf8.count)
      let cased = text.unicodeScalars.filter { $0.properties.isCased }
      let wanted = name == "upper" ? text.uppercased() : text.lowercased()
      return !cased.isEmpty && sameText(text, wanted)
    case "sameas":
      let other = try argument(name, arguments)
      guard value.typeName == other.typeName else { return false }
      return try equal(value, other)
    default: throw fail("no test '\(name)'")
    }
  }

  private func argument(_ name: String, _ arguments: TemplateCall) throws(TemplateError) -> TemplateValue {
    guard let value = arguments.positional.first ?? arguments.named.first?.value else {
      throw fail("the test '\(name)' needs an argument")
    }
    return value
  }

  private static var comparisons: [String: TemplateExpression.Comparison] {
    [
      "eq": .equal, "equalto": .equal, "==": .equal, "ne": .unequal, "!=": .unequal, "lt": .less, "lessthan": .less,
      "<": .less, "le": .lessOrEqual, "<=": .lessOrEqual, "gt": .greater, "greaterthan": .greater, ">": .greater,
      "ge": .greaterOrEqual, ">=": .greaterOrEqual, "in": .isIn,
    ]
  }
}
