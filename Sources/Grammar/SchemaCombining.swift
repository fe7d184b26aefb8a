import OccamCore

/// One schema of two that both hold: what stands beside `$ref`, `anyOf` or `oneOf` belongs to each alternative.
enum SchemaCombining {
  /// What a schema says beside some keywords; annotations, and `nullable`, which its owner deals with, are left out.
  static func rest(of schema: JSONValue, without names: Set<String>) -> [JSONMember] {
    guard case .object(let members) = schema else { return [] }
    return members.filter {
      !names.contains($0.name) && $0.name != "nullable" && SchemaKeywords.understood.contains($0.name)
    }
  }

  /// - Returns: nil if no value is valid by both, because their types differ.
  /// - Throws: the keyword that both have and that cannot be said once.
  static func combined(
    _ schema: JSONValue, with others: [JSONMember], at pointer: String
  ) throws(GrammarError) -> JSONValue? {
    guard !others.isEmpty, schema != .bool(true) else { return others.isEmpty ? schema : .object(others) }
    guard case .object(var members) = schema else { return schema }
    // Annotations of an alternative stay; keywords that are not known are refused where it is written out.
    try checkNames(schema, .object(others), at: pointer)
    for other in others {
      guard let index = members.firstIndex(where: { $0.name == other.name }) else {
        members.append(other)
        continue
      }
      let mine = members[index].value
      guard let value = try combined(other.name, mine, other.value, at: pointer) else { return nil }
      members[index] = JSONMember(other.name, value)
    }
    return .object(members)
  }

  /// Members that one side's `additionalProperties` speaks of because it does not know the other side's names.
  private static func checkNames(_ first: JSONValue, _ second: JSONValue, at pointer: String) throws(GrammarError) {
    for (one, other) in [(first, second), (second, first)] {
      guard let additional = one["additionalProperties"], additional != .bool(true) else { continue }
      guard case .object(let members)? = other["properties"] else { continue }
      var known: Set<String> = []
      if case .object(let mine)? = one["properties"] { known = Set(mine.map(\.name)) }
      for member in members where !known.contains(member.name) {
        throw GrammarError(
          JSONPointer.joined("\(pointer)/properties", member.name),
          "additionalProperties beside it, which speaks of it, is not supported"
        )
      }
    }
  }

  private static func combined(
    _ name: String, _ mine: JSONValue, _ other: JSONValue, at pointer: String
  ) throws(GrammarError) -> JSONValue? {
    if mine == other { return mine }
    switch (name, mine, other) {
    case ("type", _, _): return types(mine, other)
    case ("required", .array(let first), .array(let second)):
      let known = Set(first.compactMap(\.stringValue))
      return .array(first + second.filter { name in !(name.stringValue.map { known.contains($0) } ?? false) })
    case ("properties", .object(let first), .object(let second)):
      let known = Dictionary(second.map { (Array($0.name.utf8), $0.value) }) { first, _ in first }
      let twice = first.first { member in known[Array(member.name.utf8)].map { $0 != member.value } ?? false }
      if let twice {
        throw GrammarError(JSONPointer.joined("\(pointer)/properties", twice.name), "stands twice for one object")
      }
      return .object(second + first.filter { known[Array($0.name.utf8)] == nil })
    case ("additionalProperties", _, _):
      if mine == .bool(true) || other == .bool(false) { return other }
      if other == .bool(true) || mine == .bool(false) { return mine }
    case ("minLength", _, _), ("minItems", _, _), ("minimum", _, _), ("exclusiveMinimum", _, _):
      if let first = mine.doubleValue, let second = other.doubleValue { return first > second ? mine : other }
    case ("maxLength", _, _), ("maxItems", _, _), ("maximum", _, _), ("exclusiveMaximum", _, _):
      if let first = mine.doubleValue, let second = other.doubleValue { return first < second ? mine : other }
    default: break
    }
    throw GrammarError("\(pointer)/\(name)", "stands twice for one value, which is not supported")
  }

  private static func types(_ first: JSONValue, _ second: JSONValue) -> JSONValue? {
    let (mine, others) = (SchemaKeywords.types(first), SchemaKeywords.types(second))
    var result = mine.filter { others.contains($0) || ($0 == "integer" && others.contains("number")) }
    let hasNumbers = result.contains("number") || result.contains("integer")
    if mine.contains("number"), !hasNumbers, others.contains("integer") { result.append("integer") }
    return result.isEmpty ? nil : .array(result.map { .string($0) })
  }
}

extension SchemaCompiler {
  /// A reference, with what stands beside it.
  mutating func target(
    of schema: JSONValue, at pointer: String, depth: Int
  ) throws(GrammarError) -> Expression {
    guard let target = schema["$ref"]?.stringValue else { throw GrammarError("\(pointer)/$ref", "is not a string") }
    let beside = SchemaCombining.rest(of: schema, without: ["$ref"])
    if beside.isEmpty { return .rule(try reference(target)) }
    let found = try resolve(target)
    try SchemaKeywords.checkTypes(found, at: target)
    guard let both = try SchemaCombining.combined(found, with: beside, at: pointer) else {
      throw GrammarError(pointer, "allows nothing: the types differ")
    }
    return try expression(both, at: pointer, depth: depth + 1)
  }

  /// `allOf`: several schemas as one.
  mutating func intersection(
    _ schema: JSONValue, at pointer: String, depth: Int
  ) throws(GrammarError) -> Expression {
    guard let parts = schema["allOf"]?.arrayValue, !parts.isEmpty else {
      throw GrammarError("\(pointer)/allOf", "is not an array of schemas")
    }
    var all = SchemaCombining.rest(of: schema, without: ["allOf"])
    for (index, part) in parts.enumerated() {
      let place = "\(pointer)/allOf/\(index)"
      var part = part
      // References to references end somewhere, or the count does.
      for _ in 0..<limits.depth where SchemaCombining.rest(of: part, without: ["$ref"]).isEmpty {
        guard let target = part["$ref"]?.stringValue else { break }
        part = try resolve(target)
      }
      if part == .bool(true) { continue }
      guard case .object = part else { throw GrammarError(place, "is no schema that allows something") }
      try SchemaKeywords.check(part, at: place)
      guard let both = try SchemaCombining.combined(part, with: all, at: place) else {
        throw GrammarError(place, "allows nothing: the types differ")
      }
      all = SchemaCombining.rest(of: both, without: [])
    }
    return try expression(.object(all), at: pointer, depth: depth + 1)
  }

  /// `anyOf` or `oneOf`: alternatives, each with what stands beside them. Of `oneOf` the grammar does not see whether
  /// two alternatives hold at once.
  mutating func union(
    _ name: String, of schema: JSONValue, at pointer: String, depth: Int
  ) throws(GrammarError) -> [Expression] {
    guard let parts = schema[name]?.arrayValue, !parts.isEmpty else {
      throw GrammarError("\(pointer)/\(name)", "is not an array of schemas")
    }
    let beside = SchemaCombining.rest(of: schema, without: [name])
    if let second = beside.first(where: { ["oneOf", "enum", "const"].contains($0.name) }) {
      throw GrammarError("\(pointer)/\(second.name)", "is not supported beside \(name)")
    }
    var choices: [Expression] = []
    for (index, part) in parts.enumerated() {
      let place = "\(pointer)/\(name)/\(index)"
      try SchemaKeywords.checkTypes(part, at: place)
      // What allows nothing adds nothing.
      guard part != .bool(false), let both = try SchemaCombining.combined(part, with: beside, at: place) else {
        continue
      }
      choices.append(try expression(both, at: place, depth: depth + 1))
    }
    guard !choices.isEmpty else { throw GrammarError("\(pointer)/\(name)", "allows nothing") }
    return choices
  }

  /// `enum` or `const`: those values that are of the type that stands beside.
  func values(_ name: String, of schema: JSONValue, at pointer: String) throws(GrammarError) -> [Expression] {
    let values = name == "const" ? schema[name].map { [$0] } : schema[name]?.arrayValue
    guard let values, !values.isEmpty else { throw GrammarError("\(pointer)/\(name)", "is not an array of values") }
    if let other = SchemaCombining.rest(of: schema, without: [name, "type"]).first {
      throw GrammarError("\(pointer)/\(other.name)", "is not supported beside \(name)")
    }
    let types = schema["type"].map { SchemaKeywords.types($0) }
    let fitting = values.filter { value in types?.contains { SchemaKeywords.isType($0, value) } ?? true }
    guard !fitting.isEmpty else { throw GrammarError("\(pointer)/\(name)", "allows nothing: the types differ") }
    return fitting.map { .text($0.text()) }
  }
}
