import OccamCore

/// What a template computes with. Lists and dictionaries are values: as in Jinja's immutable sandbox, no template
/// changes one; only namespaces change.
enum TemplateValue {
  case undefined(String)
  case none
  case bool(Bool)
  case integer(Int)
  case float(Double)
  case string(TemplateString)
  case list(TemplateList)
  case dictionary(TemplateDictionary)
  case namespace(TemplateNamespace)
  case loop(TemplateLoopState)
  /// A global function by its name.
  case function(String)
  indirect case method(of: TemplateValue, String)
  /// A macro, by its number in the evaluator.
  case macro(Int)
}

struct TemplateList {
  var items: [TemplateValue]
  var isTuple = false
  /// Levels of lists and dictionaries, this one included.
  var depth: Int
}

struct TemplateDictionary {
  enum Key: Hashable {
    case none
    case number(Double)
    case integer(Int)
    case string(String)
  }
  private(set) var keys: [TemplateValue] = []
  private(set) var values: [TemplateValue] = []
  private var indices: [Key: Int] = [:]
  var depth = 1

  var count: Int { keys.count }

  /// nil for a value that cannot be a key. Equal numbers are one key, whatever their type.
  static func key(_ value: TemplateValue) -> Key? {
    switch value {
    case .none: Key.none
    case .bool(let value): .integer(value ? 1 : 0)
    case .integer(let value): .integer(value)
    case .float(let value): Int(exactly: value).map { .integer($0) } ?? .number(value)
    case .string(let value): .string(value.text)
    default: nil
    }
  }

  subscript(key: Key) -> TemplateValue? { indices[key].map { values[$0] } }
  subscript(name: String) -> TemplateValue? { self[Key.string(name)] }

  mutating func set(_ name: TemplateValue, key: Key, _ value: TemplateValue) {
    depth = max(depth, value.depth + 1)
    if let index = indices[key] {
      values[index] = value
    } else {
      indices[key] = keys.count
      keys.append(name)
      values.append(value)
    }
  }
}

final class TemplateNamespace {
  var attributes: [String: TemplateValue] = [:]
}

/// The variable `loop` of one iteration.
struct TemplateLoopState {
  let items: TemplateList
  let index: Int
}

extension TemplateValue {
  var depth: Int {
    switch self {
    case .list(let list): list.depth
    case .dictionary(let dictionary): dictionary.depth
    case .loop(let loop): loop.items.depth + 1
    case .method(let receiver, _): receiver.depth + 1
    default: 0
    }
  }

  var isTrue: Bool {
    switch self {
    case .undefined, .none: false
    case .bool(let value): value
    case .integer(let value): value != 0
    case .float(let value): value != 0
    case .string(let value): !value.isEmpty
    case .list(let list): !list.items.isEmpty
    case .dictionary(let dictionary): dictionary.count > 0
    default: true
    }
  }

  var isUndefined: Bool { if case .undefined = self { true } else { false } }

  /// Numbers and booleans, which count as 0 and 1.
  var number: Double? {
    switch self {
    case .bool(let value): value ? 1 : 0
    case .integer(let value): Double(value)
    case .float(let value): value
    default: nil
    }
  }

  var integer: Int? {
    switch self {
    case .bool(let value): value ? 1 : 0
    case .integer(let value): value
    default: nil
    }
  }

  /// Python's name of the type, for messages.
  var typeName: String {
    switch self {
    case .undefined: "undefined"
    case .none: "none"
    case .bool: "a boolean"
    case .integer: "an integer"
    case .float: "a float"
    case .string: "a string"
    case .list(let list): list.isTuple ? "a tuple" : "a list"
    case .dictionary: "a mapping"
    case .namespace: "a namespace"
    case .loop: "a loop"
    case .function, .method, .macro: "a function"
    }
  }

  /// - Parameter isInput: its texts came in from outside.
  init(_ json: JSONValue, isInput: Bool = false) {
    switch json {
    case .null: self = .none
    case .bool(let value): self = .bool(value)
    case .integer(let value): self = .integer(value)
    case .number(let value): self = .float(value)
    case .string(let value): self = .string(TemplateString(value, isInput: isInput))
    case .array(let elements):
      let items = elements.map { TemplateValue($0, isInput: isInput) }
      self = .list(TemplateList(items: items, depth: (items.map(\.depth).max() ?? 0) + 1))
    case .object(let members):
      var dictionary = TemplateDictionary()
      for member in members {
        let name = TemplateValue.string(TemplateString(member.name, isInput: isInput))
        dictionary.set(name, key: .string(member.name), TemplateValue(member.value, isInput: isInput))
      }
      self = .dictionary(dictionary)
    }
  }

  init(_ literal: TemplateExpression.Literal) {
    switch literal {
    case .none: self = .none
    case .bool(let value): self = .bool(value)
    case .integer(let value): self = .integer(value)
    case .float(let value): self = .float(value)
    case .string(let value): self = .string(TemplateString(value))
    }
  }
}

/// Texts are equal by their code points, not by canonical equivalence.
func sameText(_ left: String, _ right: String) -> Bool { left.utf8.elementsEqual(right.utf8) }
