/// Header fields in their order. Names compare without regard to the case of ASCII letters.
package struct HTTPHeaders: Sendable, Equatable {
  package private(set) var fields: [(name: String, value: String)] = []

  package init() {}

  package init(_ fields: [(String, String)]) { self.fields = fields.map { (name: $0.0, value: $0.1) } }

  /// The first value of a name.
  package subscript(_ name: String) -> String? { fields.first { ASCII.equal($0.name, name) }?.value }

  /// All values of a name, one for each line.
  package func all(_ name: String) -> [String] { fields.lazy.filter { ASCII.equal($0.name, name) }.map(\.value) }

  package mutating func add(_ name: String, _ value: String) { fields.append((name: name, value: value)) }

  /// Replaces every field of this name.
  package mutating func set(_ name: String, _ value: String) {
    fields.removeAll { ASCII.equal($0.name, name) }
    add(name, value)
  }

  /// The members of a field that is a list, such as `Connection`, over all its lines; empty ones are left out.
  func list(_ name: String) -> [String] {
    all(name).flatMap { value in
      Array(value.utf8).split(separator: UInt8(ascii: ",")).map(ASCII.trimmed).filter { !$0.isEmpty }
        .map { String(decoding: $0, as: UTF8.self) }
    }
  }

  package static func == (left: HTTPHeaders, right: HTTPHeaders) -> Bool {
    left.fields.count == right.fields.count && zip(left.fields, right.fields).allSatisfy { $0 == $1 }
  }
}
