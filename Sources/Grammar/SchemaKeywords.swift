import OccamCore

/// Which of JSON Schema's keywords are understood.
enum SchemaKeywords {
  static let understood: Set<String> = [
    "$ref", "const", "enum", "anyOf", "oneOf", "allOf", "type", "nullable", "properties", "required",
    "additionalProperties", "items", "prefixItems", "minItems", "maxItems", "minLength", "maxLength", "pattern",
    "format",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
  ]
  /// They say nothing of what is valid.
  private static let harmless: Set<String> = [
    "$schema", "$id", "$defs", "definitions", "$comment", "$anchor", "title", "description", "default", "examples",
    "example", "deprecated", "readOnly", "writeOnly", "strict", "contentMediaType", "contentEncoding", "discriminator",
  ]

  /// Refuses what would be left out of account.
  static func check(_ schema: JSONValue, at pointer: String) throws(GrammarError) {
    guard case .object(let members) = schema else { return }
    try checkTypes(schema, at: pointer)
    for member in members where !understood.contains(member.name) && !harmless.contains(member.name) {
      if member.name.hasPrefix("x-") || (member.name == "uniqueItems" && member.value == .bool(false)) { continue }
      throw GrammarError(JSONPointer.joined(pointer, member.name), "is not supported")
    }
  }

  /// Refuses a `type` that is no name, nor several of them.
  static func checkTypes(_ schema: JSONValue, at pointer: String) throws(GrammarError) {
    guard let type = schema["type"] else { return }
    let values = type.arrayValue ?? [type]
    guard !values.isEmpty else { throw GrammarError("\(pointer)/type", "is empty") }
    let names = types(type)
    guard names.count == values.count else { throw GrammarError("\(pointer)/type", "is not a type's name") }
    guard Set(names).count == names.count else { throw GrammarError("\(pointer)/type", "has a name twice") }
  }

  /// What a schema without a type is about.
  static func impliedType(_ schema: JSONValue) -> String? {
    func has(_ names: String...) -> Bool { names.contains { schema[$0] != nil } }
    if has("properties", "required", "additionalProperties") { return "object" }
    if has("items", "prefixItems", "minItems", "maxItems") { return "array" }
    if has("minLength", "maxLength", "pattern", "format") { return "string" }
    return has("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum") ? "number" : nil
  }

  /// The names in `type`, one or an array of them.
  static func types(_ type: JSONValue) -> [String] {
    type.arrayValue.map { $0.compactMap(\.stringValue) } ?? [type.stringValue].compactMap { $0 }
  }

  static func isType(_ type: String, _ value: JSONValue) -> Bool {
    switch (type, value) {
    case ("null", .null), ("boolean", .bool), ("string", .string), ("array", .array), ("object", .object): true
    case ("number", .integer), ("number", .number), ("integer", .integer): true
    // 1.0 is an integer, too.
    case ("integer", .number(let number)): number == number.rounded()
    default: false
    }
  }
}
