/// RFC 6901.
enum JSONPointer {
  /// `pointer` and one name more.
  static func joined(_ pointer: String, _ name: String) -> String {
    var result = pointer + "/"
    for scalar in name.unicodeScalars {
      switch scalar {
      case "~": result += "~0"
      case "/": result += "~1"
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  static func unescaped(_ part: Substring) -> String {
    var result = ""
    var rest = part
    while let tilde = rest.firstIndex(of: "~") {
      result += rest[..<tilde]
      let code = rest.index(after: tilde)
      let isSlash = code < rest.endIndex && rest[code] == "1"
      let isTilde = code < rest.endIndex && rest[code] == "0"
      result += isSlash ? "/" : "~"
      rest = isSlash || isTilde ? rest[rest.index(after: code)...] : rest[code...]
    }
    return result + rest
  }
}
