import Occam
import OccamCore

/// A request's JSON object, read with errors that name the field. A field that is null counts as missing.
package struct Fields: Sendable {
  let value: JSONValue
  /// In front of field names in errors, as "messages[0].".
  let path: String

  package init(_ value: JSONValue, path: String = "") throws(ServiceError) {
    guard case .object = value else {
      let name = path.isEmpty ? "the body" : "'\(path.dropLast())'"
      throw .invalid("\(name) is \(value.kindName), not an object")
    }
    self.value = value
    self.path = path
  }

  /// Of a request's body. Numbers of values and depth are bounded before anything is built from it.
  static func parse(_ body: [UInt8]) throws(ServiceError) -> Fields {
    var limits = JSONLimits()
    limits.bytes = max(body.count, 1)
    do { return try Fields(try JSONValue(parsing: body, limits: limits)) } catch let error as JSONError {
      throw .invalid("the body is not JSON: \(error)")
    } catch let error as ServiceError {
      throw error
    } catch {
      throw .invalid("the body is not JSON")
    }
  }

  subscript(_ name: String) -> JSONValue? {
    guard let found = value[name], found != .null else { return nil }
    return found
  }

  func error(_ name: String, _ expected: String) -> ServiceError {
    .invalid("'\(path)\(name)' is \(self[name]?.kindName ?? "missing"), not \(expected)")
  }

  func string(_ name: String) throws(ServiceError) -> String? {
    guard let found = self[name] else { return nil }
    guard let text = found.stringValue else { throw error(name, "a string") }
    return text
  }

  func bool(_ name: String) throws(ServiceError) -> Bool? {
    guard let found = self[name] else { return nil }
    guard let value = found.boolValue else { throw error(name, "a boolean") }
    return value
  }

  func int(_ name: String, in range: ClosedRange<Int> = Int.min...Int.max) throws(ServiceError) -> Int? {
    guard let found = self[name] else { return nil }
    guard let value = found.intValue else { throw error(name, "a whole number") }
    guard range.contains(value) else {
      throw .invalid("'\(path)\(name)' is \(value), not from \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  func float(_ name: String, in range: ClosedRange<Double>) throws(ServiceError) -> Float? {
    guard let found = self[name] else { return nil }
    guard let value = found.doubleValue else { throw error(name, "a number") }
    guard range.contains(value) else {
      throw .invalid("'\(path)\(name)' is \(value), not from \(range.lowerBound) to \(range.upperBound)")
    }
    return Float(value)
  }

  func array(_ name: String) throws(ServiceError) -> [JSONValue]? {
    guard let found = self[name] else { return nil }
    guard let value = found.arrayValue else { throw error(name, "an array") }
    return value
  }

  func object(_ name: String) throws(ServiceError) -> Fields? {
    guard let found = self[name] else { return nil }
    return try Fields(found, path: "\(path)\(name).")
  }

  /// Objects of an array.
  func objects(_ name: String) throws(ServiceError) -> [Fields]? {
    guard let elements = try array(name) else { return nil }
    var result: [Fields] = []
    for (index, element) in elements.enumerated() {
      result.append(try Fields(element, path: "\(path)\(name)[\(index)]."))
    }
    return result
  }

  /// One string or several, of few bytes each.
  func strings(_ name: String, atMost count: Int, bytes: Int) throws(ServiceError) -> [String]? {
    let found = try strings(name)
    guard let found, found.count > count || found.contains(where: { $0.utf8.count > bytes }) else { return found }
    throw .invalid("'\(path)\(name)' has more than \(count) strings, or one of more than \(bytes) bytes")
  }

  /// One string or several.
  func strings(_ name: String) throws(ServiceError) -> [String]? {
    guard let found = self[name] else { return nil }
    if let text = found.stringValue { return [text] }
    guard let elements = found.arrayValue else { throw error(name, "a string or an array of strings") }
    var result: [String] = []
    for element in elements {
      guard let text = element.stringValue else { throw error(name, "a string or an array of strings") }
      result.append(text)
    }
    return result
  }

  func requiredString(_ name: String) throws(ServiceError) -> String { try require(name, try string(name)) }

  /// A message's role; what OpenAI's newer models call `developer` is `system`.
  func role(among roles: [String]) throws(ServiceError) -> String {
    let given = try requiredString("role")
    let role = given == "developer" ? "system" : given
    guard roles.contains(role) else {
      let listed = roles.map { "\"\($0)\"" }
      throw .invalid(
        "'\(path)role' is \"\(given)\", not \(listed.dropLast().joined(separator: ", ")) or \(listed.last ?? "")")
    }
    return role
  }

  /// A function that the model may call.
  /// - Parameter parameters: the member that holds their schema.
  func tool(parameters: String) throws(ServiceError) -> Tool {
    Tool(
      name: try requiredString("name"), description: try string("description") ?? "",
      parameters: self[parameters]?.text() ?? #"{"type":"object","properties":{}}"#)
  }

  func require<Value>(_ name: String, _ value: Value?) throws(ServiceError) -> Value {
    guard let value else { throw .invalid("'\(path)\(name)' is missing") }
    return value
  }
}
