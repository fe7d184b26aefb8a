import OccamCore

/// What a schema says of an object's members.
struct SchemaMembers {
  /// In order.
  var properties: [(name: String, schema: JSONValue, pointer: String)] = []
  var required: Set<String> = []
  /// Members of other names; nil: none were spoken of.
  var additional: JSONValue?
}

extension SchemaCompiler {
  func members(_ schema: JSONValue, at pointer: String) throws(GrammarError) -> SchemaMembers {
    var result = SchemaMembers()
    if let properties = schema["properties"] {
      guard case .object(let members) = properties else {
        throw GrammarError("\(pointer)/properties", "is \(properties.kindName), not an object")
      }
      for member in members {
        let place = JSONPointer.joined("\(pointer)/properties", member.name)
        result.properties.append((member.name, member.value, place))
      }
    }
    if let required = schema["required"] {
      guard let names = required.arrayValue else { throw GrammarError("\(pointer)/required", "is not an array") }
      for name in names {
        guard let name = name.stringValue else { throw GrammarError("\(pointer)/required", "holds no name") }
        result.required.insert(name)
      }
    }
    result.additional = schema["additionalProperties"]
    return result
  }

  /// Members in the schema's order, those that are not required or not. Of names that the schema does not have, none,
  /// unless it says so: as llama.cpp does, so that a model does not invent members.
  mutating func object(
    of members: SchemaMembers, at pointer: String, depth: Int
  ) throws(GrammarError) -> Expression {
    let names = members.properties.map(\.name)
    for name in members.required.subtracting(names).sorted() {
      if members.additional == nil || members.additional == .bool(false) {
        throw GrammarError("\(pointer)/required", "'\(name)' is no property")
      }
      throw GrammarError("\(pointer)/required", "'\(name)' is required, but its schema is not given")
    }
    if members.properties.isEmpty, members.additional == nil { return try anyObject() }
    let space = try space()
    var pairs: [(pair: Expression, isRequired: Bool)] = []
    for property in members.properties {
      let value = try expression(property.schema, at: property.pointer, depth: depth + 1)
      let key = Expression.text(JSONValue.string(property.name).text())
      pairs.append(
        (.sequence([key, space, .text(":"), space, value, space]), members.required.contains(property.name)))
    }
    var others: Expression?
    if let additional = members.additional, additional != .bool(false) {
      let value =
        additional == .bool(true)
        ? try anyValue() : try expression(additional, at: "\(pointer)/additionalProperties", depth: depth + 1)
      let key = try otherName(than: members.properties)
      others = .sequence([key, space, .text(":"), space, value, space])
    }
    // From the last member to the first: what may follow when a member stood before, and when none did.
    let comma = Expression.sequence([.text(","), space])
    var (behind, fresh) = (Expression.empty, Expression.empty)
    if let others {
      let more = Expression.repetition(.sequence([comma, others]), minimum: 0, maximum: nil)
      behind = more
      fresh = .optional(.sequence([others, more]))
    }
    for (index, member) in pairs.enumerated().reversed() {
      // Rules, so that what follows is written once however many members lead to it.
      let (nextBehind, nextFresh) = (behind, fresh)
      let with = try newRule("\(pointer) behind \(index + 1)", nextBehind)
      let here = Expression.sequence([member.pair, with])
      let later = Expression.sequence([comma, member.pair, with])
      behind = member.isRequired ? later : .choice([later, with])
      if member.isRequired {
        fresh = here
      } else {
        let without = try newRule("\(pointer) from \(index + 1)", nextFresh)
        fresh = .choice([here, without])
      }
    }
    return .sequence([.text("{"), space, fresh, .text("}")])
  }

  /// A string without escapes that is the name of none of `properties`.
  private func otherName(
    than properties: [(name: String, schema: JSONValue, pointer: String)]
  ) throws(GrammarError) -> Expression {
    var names: [ArraySlice<Unicode.Scalar>] = []
    for property in properties {
      let name = Array(property.name.unicodeScalars)
      // Names are written out character within character.
      guard name.count <= limits.nameLength else {
        throw GrammarError(
          "\(property.pointer.prefix(80))...",
          "a name of more than \(limits.nameLength) characters is not supported where other names are allowed")
      }
      names.append(name[...])
    }
    let quote = Expression.text("\"")
    return .sequence([quote, SchemaCompiler.other(than: names), quote])
  }

  /// Characters that stand in a string as they are.
  static let plainCharacters = CharacterSet.subtracting(
    CharacterSet.all, [0...0x1F, 0x22...0x22, 0x5C...0x5C, 0x7F...0x7F])

  private static func other(than names: [ArraySlice<Unicode.Scalar>]) -> Expression {
    let anything = Expression.repetition(.characters(plainCharacters), minimum: 0, maximum: nil)
    guard !names.isEmpty else { return anything }
    let byFirst = Dictionary(grouping: names.filter { !$0.isEmpty }) { $0.first?.value ?? 0 }
    var choices: [Expression] = []
    // The empty name, unless it is taken.
    if !names.contains(where: \.isEmpty) { choices.append(.empty) }
    let firsts = byFirst.keys.sorted()
    let others = CharacterSet.subtracting(plainCharacters, firsts.map { $0...$0 })
    choices.append(.sequence([.characters(others), anything]))
    for first in firsts where plainCharacters.contains(where: { $0.contains(first) }) {
      let rest = byFirst[first, default: []].map { $0.dropFirst() }
      choices.append(.sequence([.characters([first...first]), other(than: rest)]))
    }
    return .choice(choices)
  }
}
