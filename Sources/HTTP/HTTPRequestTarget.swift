/// A request's target (RFC 9112, 3.2), decoded.
struct HTTPRequestTarget {
  let path: String
  let query: [(name: String, value: String)]

  /// - Parameter bytes: visible ASCII.
  init(_ bytes: ArraySlice<UInt8>, method: String) throws(HTTPRefusal) {
    if method == "CONNECT" { throw HTTPRefusal(501, "the method CONNECT is not supported") }
    if bytes.elementsEqual("*".utf8) {
      guard method == "OPTIONS" else { throw HTTPRefusal(400, "the target * is for OPTIONS only") }
      (path, query) = ("*", [])
      return
    }
    let rest = try HTTPRequestTarget.withoutAuthority(bytes)
    guard !rest.contains(UInt8(ascii: "#")) else { throw HTTPRefusal(400, "the request target has a fragment") }
    let mark = rest.firstIndex(of: UInt8(ascii: "?")) ?? rest.endIndex
    let encoded = rest[..<mark]
    path = encoded.isEmpty ? "/" : try HTTPRequestTarget.decoded(encoded, plusIsSpace: false)
    var pairs: [(name: String, value: String)] = []
    for part in rest[mark...].dropFirst().split(separator: UInt8(ascii: "&")) {
      let equals = part.firstIndex(of: UInt8(ascii: "=")) ?? part.endIndex
      let name = try HTTPRequestTarget.decoded(part[..<equals], plusIsSpace: true)
      pairs.append((name: name, value: try HTTPRequestTarget.decoded(part[equals...].dropFirst(), plusIsSpace: true)))
    }
    query = pairs
  }

  /// The path and query of a target in origin or absolute form.
  private static func withoutAuthority(_ bytes: ArraySlice<UInt8>) throws(HTTPRefusal) -> ArraySlice<UInt8> {
    if bytes.first == UInt8(ascii: "/") { return bytes }
    for scheme in ["http://", "https://"] where bytes.count > scheme.utf8.count {
      guard zip(bytes, scheme.utf8).allSatisfy({ ASCII.lowercased($0) == $1 }) else { continue }
      let rest = bytes.dropFirst(scheme.utf8.count)
      let end = rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? rest.endIndex
      guard end > rest.startIndex, isAuthority(rest[..<end]) else {
        throw HTTPRefusal(400, "the request target names no valid host")
      }
      return rest[end...]
    }
    throw HTTPRefusal(400, "the request target is neither a path nor an http URI")
  }

  /// Whether these bytes can be a host with or without a port. Who sent a name of a user is no client of an API.
  static func isAuthority(_ bytes: ArraySlice<UInt8>) -> Bool {
    bytes.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "#"), UInt8(ascii: "^"), UInt8(ascii: "`"), UInt8(ascii: "|"): false
      case UInt8(ascii: ":"), UInt8(ascii: "["), UInt8(ascii: "]"), UInt8(ascii: ","), UInt8(ascii: ";"),
        UInt8(ascii: "="), UInt8(ascii: "("), UInt8(ascii: ")"):
        true
      default: ASCII.isToken(byte)
      }
    }
  }

  private static func decoded(_ bytes: ArraySlice<UInt8>, plusIsSpace: Bool) throws(HTTPRefusal) -> String {
    guard let text = PercentEncoding.decode(bytes, plusIsSpace: plusIsSpace) else {
      throw HTTPRefusal(400, "the request target is no percent-encoded UTF-8 text")
    }
    return text
  }
}
