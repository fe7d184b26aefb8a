import Glibc

/// Calls: global functions, and methods of strings, dictionaries and lists.
extension TemplateEvaluator {
  static let globalFunctions = ["range", "dict", "namespace", "raise_exception", "strftime_now"]

  private static let stringMethods: Set<String> = [
    "strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "startswith", "endswith", "upper", "lower", "title",
    "capitalize", "replace", "find", "count", "join", "removeprefix", "removesuffix", "isdigit", "isalpha", "isspace",
    "format",
  ]

  func hasMethod(_ value: TemplateValue, _ name: String) throws(TemplateError) -> Bool {
    switch value {
    case .string: TemplateEvaluator.stringMethods.contains(name)
    case .dictionary: ["items", "keys", "values", "get"].contains(name)
    case .list: ["index", "count"].contains(name)
    case .loop: name == "cycle"
    default: false
    }
  }

  func call(_ function: TemplateValue, _ call: TemplateCall) throws(TemplateError) -> TemplateValue {
    try enter()
    defer { leave() }
    switch function {
    case .function(let name): return try self.call(global: name, call)
    case .macro(let number): return try self.call(macro: number, call)
    case .method(let receiver, let name):
      switch receiver {
      case .string(let text): return try self.call(name, on: text, call)
      case .dictionary(let dictionary): return try self.call(name, on: dictionary, call)
      case .list(let list): return try self.call(name, on: list, call)
      case .loop(let loop):
        guard !call.positional.isEmpty else { throw fail("loop.cycle needs values") }
        return call.positional[loop.index % call.positional.count]
      default: throw fail("\(receiver.typeName) has no '\(name)'")
      }
    case .undefined(let name): throw fail("'\(name)' is undefined, so that it cannot be called")
    default: throw fail("\(function.typeName) cannot be called")
    }
  }

  // MARK: Global functions

  private func call(global name: String, _ call: TemplateCall) throws(TemplateError) -> TemplateValue {
    switch name {
    case "range": return try range(call)
    case "dict":
      var entries: [(TemplateValue, TemplateValue)] = []
      if case .dictionary(let dictionary)? = call.positional.first {
        entries += zip(dictionary.keys, dictionary.values)
      }
      return try dictionary(entries + call.named.map { (.string(TemplateString($0.name)), $0.value) })
    case "namespace":
      var attributes: [String: TemplateValue] = [:]
      if case .dictionary(let dictionary)? = call.positional.first {
        for (key, value) in zip(dictionary.keys, dictionary.values) { attributes[try string(key).text] = value }
      }
      for (name, value) in call.named { attributes[name] = value }
      return try namespace(attributes)
    case "raise_exception":
      throw TemplateError(
        .raised, line: line, try string(call[0, "message"] ?? .string("the template gave up")).text)
    default:
      let format = try string(call[0, "format"] ?? .string("%Y-%m-%d"))
      return try text(TemplateString(try formattedTime(format.text), isInput: !format.inputs.isEmpty))
    }
  }

  private func range(_ call: TemplateCall) throws(TemplateError) -> TemplateValue {
    var numbers: [Int] = []
    for value in call.positional {
      guard let integer = value.integer else { throw fail("range takes integers, not \(value.typeName)") }
      numbers.append(integer)
    }
    guard (1...3).contains(numbers.count), numbers.count < 3 || numbers[2] != 0 else {
      throw fail("range takes 1 to 3 integers, and no step of 0")
    }
    let start = numbers.count > 1 ? numbers[0] : 0
    let end = numbers.count > 1 ? numbers[1] : numbers[0]
    let step = numbers.count > 2 ? numbers[2] : 1
    let (distance, overflow) =
      step > 0 ? end.subtractingReportingOverflow(start) : start.subtractingReportingOverflow(end)
    guard !overflow, step != .min, distance <= 0 || (distance - 1) / abs(step) < limits.range else {
      throw limit("a range of more than \(limits.range) elements")
    }
    let count = distance <= 0 ? 0 : (distance - 1) / abs(step) + 1
    return try list((0..<count).map { .integer(start + $0 * step) })
  }

  private func formattedTime(_ format: String) throws(TemplateError) -> String {
    guard format.utf8.count <= 256 else { throw limit("a time format longer than 256 bytes") }
    var seconds = time_t(now)
    var parts = tm()
    localtime_r(&seconds, &parts)
    var buffer = [CChar](repeating: 0, count: 8192)
    let count = strftime(&buffer, buffer.count, format, &parts)
    return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  // MARK: Methods

  private func call(
    _ name: String, on dictionary: TemplateDictionary, _ call: TemplateCall
  ) throws(TemplateError) -> TemplateValue {
    switch name {
    case "keys": return try list(dictionary.keys)
    case "values": return try list(dictionary.values)
    case "items": return try items(of: dictionary)
    default:
      guard let name = call[0, "key"] else { throw fail("'get' needs a key") }
      return TemplateDictionary.key(name).flatMap { dictionary[$0] } ?? call[1, "default"] ?? .none
    }
  }

  func items(of dictionary: TemplateDictionary) throws(TemplateError) -> TemplateValue {
    var pairs: [TemplateValue] = []
    for (key, value) in zip(dictionary.keys, dictionary.values) { pairs.append(try list([key, value], isTuple: true)) }
    return try list(pairs)
  }

  private func call(
    _ name: String, on list: TemplateList, _ call: TemplateCall
  ) throws(TemplateError) -> TemplateValue {
    guard let wanted = call.positional.first else { throw fail("'\(name)' needs a value") }
    var count = 0
    for (index, item) in list.items.enumerated() where try equal(item, wanted) {
      if name == "index" { return .integer(index) }
      count += 1
    }
    if name == "index" { throw fail("the list does not hold the value") }
    return .integer(count)
  }

  private func call(
    _ name: String, on text: TemplateString, _ call: TemplateCall
  ) throws(TemplateError) -> TemplateValue {
    try charge(text: text.count)
    switch name {
    case "strip", "lstrip", "rstrip":
      let characters = try optionalString(call[0, "chars"], name)
      return try self.text(stripped(text, characters, start: name != "rstrip", end: name != "lstrip"))
    case "upper": return try self.text(text.map { $0.uppercased() })
    case "lower": return try self.text(text.map { $0.lowercased() })
    case "title": return try self.text(titled(text))
    case "capitalize": return try self.text(capitalized(text))
    case "startswith", "endswith":
      for affix in try affixes(call[0, "prefix"], name) where has(text.text, affix, atStart: name == "startswith") {
        return .bool(true)
      }
      return .bool(false)
    case "removeprefix", "removesuffix":
      let affix = try requiredString(call[0, "prefix"], name).text
      guard has(text.text, affix, atStart: name == "removeprefix") else { return try self.text(text) }
      let size = affix.utf8.count
      return try self.text(text.slice(name == "removeprefix" ? size..<text.count : 0..<text.count - size))
    case "replace":
      let old = try requiredString(call[0, "old"], name)
      return try replaced(text, old, try requiredString(call[1, "new"], name), call[2, "count"]?.integer ?? -1)
    case "find", "count": return try search(name, text.text, try requiredString(call[0, "sub"], name).text)
    case "split", "rsplit": return try split(text, call, fromEnd: name == "rsplit")
    case "format": return try self.text(try formatted(text, call))
    case "splitlines": return try list(lines(of: text).map { .string($0) })
    case "join":
      guard let sequence = call[0, "iterable"] else { throw fail("'join' needs a sequence") }
      var parts: [TemplateString] = []
      for item in try elements(of: sequence) { parts.append(try requiredString(item, name)) }
      return try self.text(try joined(parts, text))
    default: return .bool(consists(text.text, of: name))
    }
  }

  func requiredString(_ value: TemplateValue?, _ name: String) throws(TemplateError) -> TemplateString {
    guard case .string(let text)? = value else {
      throw fail("'\(name)' needs a string, not \(value?.typeName ?? "nothing")")
    }
    return text
  }

  func optionalString(_ value: TemplateValue?, _ name: String) throws(TemplateError) -> String? {
    switch value {
    case nil, TemplateValue.none?: nil
    default: try requiredString(value, name).text
    }
  }

  private func affixes(_ value: TemplateValue?, _ name: String) throws(TemplateError) -> [String] {
    guard case .list(let list)? = value, list.isTuple else { return [try requiredString(value, name).text] }
    var affixes: [String] = []
    for item in list.items { affixes.append(try requiredString(item, name).text) }
    return affixes
  }

  private func has(_ text: String, _ affix: String, atStart: Bool) -> Bool {
    atStart ? text.utf8.starts(with: affix.utf8) : text.utf8.reversed().starts(with: affix.utf8.reversed())
  }

  private func consists(_ text: String, of name: String) -> Bool {
    guard !text.isEmpty else { return false }
    return text.unicodeScalars.allSatisfy {
      switch name {
      case "isdigit": $0.properties.numericType == .decimal || $0.properties.numericType == .digit
      case "isalpha": $0.properties.generalCategory.isLetter
      default: isSpace($0)
      }
    }
  }

  private func search(_ name: String, _ text: String, _ part: String) throws(TemplateError) -> TemplateValue {
    let bytes = Array(text.utf8)
    let wanted = Array(part.utf8)
    if name == "find" {
      guard let place = find(wanted, in: bytes, from: 0) else { return .integer(-1) }
      return .integer(String(decoding: bytes[..<place], as: UTF8.self).unicodeScalars.count)
    }
    if wanted.isEmpty { return .integer(text.unicodeScalars.count + 1) }
    var count = 0
    var position = 0
    while let place = find(wanted, in: bytes, from: position) {
      count += 1
      position = place + wanted.count
    }
    return .integer(count)
  }

  private func split(
    _ text: TemplateString, _ call: TemplateCall, fromEnd: Bool
  ) throws(TemplateError) -> TemplateValue {
    let separator = try optionalString(call[0, "sep"], "split")
    let limit = call[1, "maxsplit"]?.integer ?? -1
    if separator?.isEmpty == true { throw fail("'split' needs a separator that is not empty") }
    var parts = separator.map { pieces(of: text, at: Array($0.utf8)) } ?? words(of: text)
    if limit >= 0, parts.count > limit + 1 {
      // What is beyond the limit stays together, as it stands in the text.
      guard separator != nil else { throw fail("'split' with a limit needs a separator") }
      if fromEnd {
        let cut = parts[parts.count - limit - 1].upperBound
        parts = [0..<cut] + parts.suffix(limit)
      } else {
        let cut = parts[limit].lowerBound
        parts = parts.prefix(limit) + [cut..<text.count]
      }
    }
    var values: [TemplateValue] = []
    for part in parts { values.append(try self.text(text.slice(part))) }
    return try list(values)
  }

  private func pieces(of text: TemplateString, at separator: [UInt8]) -> [Range<Int>] {
    let bytes = Array(text.text.utf8)
    var parts: [Range<Int>] = []
    var position = 0
    while let place = find(separator, in: bytes, from: position) {
      parts.append(position..<place)
      position = place + separator.count
    }
    return parts + [position..<bytes.count]
  }

  private func words(of text: TemplateString) -> [Range<Int>] {
    var words: [Range<Int>] = []
    var start: Int?
    var position = 0
    for scalar in text.text.unicodeScalars {
      if !isSpace(scalar) {
        if start == nil { start = position }
      } else if let begin = start {
        words.append(begin..<position)
        start = nil
      }
      position += UTF8.width(scalar)
    }
    return start.map { words + [$0..<position] } ?? words
  }
}
