import OccamCore

/// Filters: `value | name(arguments)`.
extension TemplateEvaluator {
  func apply(
    filter name: String, to value: TemplateValue, _ call: TemplateCall
  ) throws(TemplateError) -> TemplateValue {
    if let result = try textFilter(name, value, call) { return result }
    if let result = try listFilter(name, value, call) { return result }
    switch name {
    case "default", "d":
      let unset = value.isUndefined || (call[1, "boolean"]?.isTrue == true && !value.isTrue)
      return unset ? call[0, "default_value"] ?? .string(.empty) : value
    case "length", "count": return .integer(try length(value))
    case "tojson":
      return try text(try json(value, try jsonStyle(call)))
    case "items":
      if value.isUndefined { return try list([]) }
      guard case .dictionary(let dictionary) = value else {
        throw fail("'items' needs a mapping, not \(value.typeName)")
      }
      return try items(of: dictionary)
    case "int": return .integer(integerValue(value) ?? call[0, "default"]?.integer ?? 0)
    case "float": return .float(try floatValue(value) ?? call[0, "default"]?.number ?? 0)
    case "abs":
      if let integer = value.integer, integer != .min { return .integer(abs(integer)) }
      guard let number = value.number else { throw fail("'abs' needs a number, not \(value.typeName)") }
      return .float(abs(number))
    case "round": return try rounded(value, call)
    case "attr": return try member(of: value, try requiredString(call[0, "name"], name).text)
    default: throw fail("no filter '\(name)'")
    }
  }

  /// The arguments of transformers' own tojson; other letters are never escaped.
  private func jsonStyle(_ call: TemplateCall) throws(TemplateError) -> JSONStyle {
    for name in ["ensure_ascii", "sort_keys"] where call[name]?.isTrue == true {
      throw fail("'tojson' does not support \(name)")
    }
    var style = JSONStyle()
    if let indent = call[1, "indent"]?.integer {
      guard indent <= 64 else { throw fail("'tojson' indents by at most 64") }
      style.indent = max(indent, 0)
      style.itemSeparator = ","
    }
    if let separators = call[2, "separators"], separators.isTrue {
      let pair = try elements(of: separators)
      guard pair.count == 2 else { throw fail("'tojson' takes two separators") }
      style.itemSeparator = try requiredString(pair[0], "tojson")
      style.keySeparator = try requiredString(pair[1], "tojson")
    }
    return style
  }

  // MARK: Texts

  private func textFilter(
    _ name: String, _ value: TemplateValue, _ call: TemplateCall
  ) throws(TemplateError) -> TemplateValue? {
    func source() throws(TemplateError) -> TemplateString {
      let result = try string(value)
      try charge(text: result.count)
      return result
    }
    switch name {
    case "trim":
      return try text(stripped(try source(), try optionalString(call[0, "chars"], name), start: true, end: true))
    case "upper": return try text(try source().map { $0.uppercased() })
    case "lower": return try text(try source().map { $0.lowercased() })
    case "capitalize": return try text(capitalized(try source()))
    case "title": return try text(titledWords(try source()))
    case "string", "safe": return try text(try source())
    case "replace":
      let old = try string(call[0, "old"] ?? .string(.empty))
      let new = try string(call[1, "new"] ?? .string(.empty))
      return try replaced(try source(), old, new, call[2, "count"]?.integer ?? -1)
    case "escape", "e": return try escaped(try source())
    case "indent": return try indented(try source(), call)
    case "wordcount":
      // Runs of letters, digits and underscores.
      let words = try source().text.unicodeScalars.split { scalar in
        !(scalar.properties.isAlphabetic || scalar.properties.numericType != nil || scalar == "_")
      }
      return .integer(words.count)
    default: return nil
    }
  }

  /// Jinja's own rule: words begin behind space, hyphens and opening brackets only.
  private func titledWords(_ text: TemplateString) -> TemplateString {
    var atStart = true
    return text.map { run in
      var result = ""
      for scalar in run.unicodeScalars {
        result += atStart ? scalar.properties.uppercaseMapping : scalar.properties.lowercaseMapping
        atStart = isSpace(scalar) || "-({[<".unicodeScalars.contains(scalar)
      }
      return result
    }
  }

  private func escaped(_ text: TemplateString) throws(TemplateError) -> TemplateValue {
    var result = text
    for (old, new) in [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("'", "&#39;"), ("\"", "&#34;")] {
      result = try string(try replaced(result, TemplateString(old), TemplateString(new), -1))
    }
    return try self.text(result)
  }

  private func indented(_ text: TemplateString, _ call: TemplateCall) throws(TemplateError) -> TemplateValue {
    var indent: TemplateString = "    "
    if let width = call[0, "width"] {
      if let spaces = width.integer {
        guard spaces <= 1024 else { throw fail("'indent' takes at most 1024 spaces") }
        indent = TemplateString(String(repeating: " ", count: max(spaces, 0)))
      } else {
        indent = try requiredString(width, "indent")
      }
    }
    let (first, blank) = (call[1, "first"]?.isTrue == true, call[2, "blank"]?.isTrue == true)
    let lines = lines(of: text + "\n")
    var parts: [TemplateString] = []
    for (index, line) in lines.enumerated() {
      let indents = index == 0 ? first : blank || !line.isEmpty
      parts.append(indents ? indent + line : line)
    }
    return try self.text(try joined(parts, "\n"))
  }

  // MARK: Lists

  private func listFilter(
    _ name: String, _ value: TemplateValue, _ call: TemplateCall
  ) throws(TemplateError) -> TemplateValue? {
    switch name {
    case "list": return try list(try elements(of: value))
    case "first": return try elements(of: value).first ?? .undefined("the first of nothing")
    case "last": return try elements(of: value).last ?? .undefined("the last of nothing")
    case "join":
      var parts: [TemplateString] = []
      for item in try mapped(try elements(of: value), attribute: call[1, "attribute"]) {
        parts.append(try string(item))
      }
      return try text(try joined(parts, try string(call[0, "d"] ?? .string(.empty))))
    case "reverse":
      if case .string(let source) = value {
        try charge(text: source.count)
        return try text(.joined(source.scalars.reversed()))
      }
      return try list(try elements(of: value).reversed())
    case "select", "reject":
      var kept: [TemplateValue] = []
      for item in try optionalElements(of: value) where try passes(item, call, from: 0) == (name == "select") {
        kept.append(item)
      }
      return try list(kept)
    case "selectattr", "rejectattr":
      guard let attribute = call.positional.first else { throw fail("'\(name)' needs an attribute") }
      var kept: [TemplateValue] = []
      for item in try optionalElements(of: value) {
        let passes = try passes(try attributeValue(of: item, attribute), call, from: 1)
        if passes == (name == "selectattr") { kept.append(item) }
      }
      return try list(kept)
    case "map": return try list(try map(value, call))
    case "sum":
      var total = call[1, "start"] ?? .integer(0)
      for item in try mapped(try elements(of: value), attribute: call[0, "attribute"]) {
        guard let sum = try sum(total, item) else { throw fail("'sum' needs numbers, not \(item.typeName)") }
        total = sum
      }
      return total
    case "min", "max", "sort", "unique", "dictsort": return try sorted(name, value, call)
    default: return nil
    }
  }

  /// Filters that run over their items lazily take none, false and 0 as empty.
  private func optionalElements(of value: TemplateValue) throws(TemplateError) -> [TemplateValue] {
    value.isTrue ? try elements(of: value) : []
  }

  private func sum(_ left: TemplateValue, _ right: TemplateValue) throws(TemplateError) -> TemplateValue? {
    if let left = left.integer, let right = right.integer {
      let (result, overflow) = left.addingReportingOverflow(right)
      if overflow { throw fail("the sum is too large") }
      return .integer(result)
    }
    guard let left = left.number, let right = right.number else { return nil }
    return .float(left + right)
  }

  /// The test named by the argument at `index` with those behind it; the value's truth without one.
  private func passes(_ value: TemplateValue, _ call: TemplateCall, from index: Int) throws(TemplateError) -> Bool {
    try charge()
    guard index < call.positional.count else { return value.isTrue }
    let name = try requiredString(call.positional[index], "select").text
    return try test(
      name, value, TemplateCall(positional: Array(call.positional[(index + 1)...]), named: call.named))
  }

  private func map(_ value: TemplateValue, _ call: TemplateCall) throws(TemplateError) -> [TemplateValue] {
    let items = try optionalElements(of: value)
    if let attribute = call["attribute"] {
      var values: [TemplateValue] = []
      for item in try mapped(items, attribute: attribute) {
        values.append(item.isUndefined ? call["default"] ?? item : item)
      }
      return values
    }
    guard let filter = call.positional.first else { throw fail("'map' needs a filter or an attribute") }
    let name = try requiredString(filter, "map").text
    let rest = TemplateCall(positional: Array(call.positional.dropFirst()), named: call.named)
    var values: [TemplateValue] = []
    for item in items { values.append(try apply(filter: name, to: item, rest)) }
    return values
  }

  private func mapped(
    _ items: [TemplateValue], attribute: TemplateValue?
  ) throws(TemplateError) -> [TemplateValue] {
    guard let attribute else { return items }
    var values: [TemplateValue] = []
    for item in items { values.append(try attributeValue(of: item, attribute)) }
    return values
  }

  /// `name`, `name.inner` or an index.
  private func attributeValue(
    of value: TemplateValue, _ attribute: TemplateValue
  ) throws(TemplateError) -> TemplateValue {
    try charge()
    if attribute.integer != nil {
      return try apply([.index(.literal(.integer(attribute.integer ?? 0)))], to: value, name: "")
    }
    var result = value
    for part in try requiredString(attribute, "attribute").text.utf8.split(separator: 46) {
      let name = String(decoding: Array(part), as: UTF8.self)
      let index = Int(name).map { TemplateExpression.Literal.integer($0) } ?? .string(name)
      result = try apply([.index(.literal(index))], to: result, name: "")
    }
    return result
  }

  private func sorted(
    _ name: String, _ value: TemplateValue, _ call: TemplateCall
  ) throws(TemplateError) -> TemplateValue {
    var items: [TemplateValue]
    var keys: [TemplateValue]
    let isSensitive: Bool
    var isReversed = name == "max"
    if name == "dictsort" {
      guard case .dictionary(let dictionary) = value, case .list(let pairs) = try self.items(of: dictionary) else {
        throw fail("'dictsort' needs a mapping, not \(value.typeName)")
      }
      items = pairs.items
      isSensitive = call[0, "case_sensitive"]?.isTrue == true
      keys = try string(call[1, "by"] ?? .string("key")).text == "value" ? dictionary.values : dictionary.keys
      isReversed = call[2, "reverse"]?.isTrue == true
    } else {
      items = try elements(of: value)
      let hasReverse = name == "sort"
      if hasReverse { isReversed = call[0, "reverse"]?.isTrue == true }
      isSensitive = call[hasReverse ? 1 : 0, "case_sensitive"]?.isTrue == true
      keys = try mapped(items, attribute: call[hasReverse ? 2 : 1, "attribute"])
    }
    if !isSensitive {
      for index in keys.indices {
        if case .string(let text) = keys[index] { keys[index] = try self.text(text.map { $0.lowercased() }) }
      }
    }
    if name == "unique" { return try unique(items, keys) }
    let order = try stableOrder(keys, isReversed: isReversed)
    if name == "min" || name == "max" { return order.first.map { items[$0] } ?? .undefined("the \(name) of nothing") }
    return try list(order.map { items[$0] })
  }

  private func unique(_ items: [TemplateValue], _ keys: [TemplateValue]) throws(TemplateError) -> TemplateValue {
    var seen = Set<TemplateDictionary.Key>()
    var kept: [TemplateValue] = []
    for (item, key) in zip(items, keys) {
      guard let key = TemplateDictionary.key(key) else { throw fail("'unique' does not compare \(key.typeName)") }
      if seen.insert(key).inserted { kept.append(item) }
    }
    return try list(kept)
  }

  /// A merge sort, since comparing may fail; equals keep their order, also reversed.
  private func stableOrder(_ keys: [TemplateValue], isReversed: Bool) throws(TemplateError) -> [Int] {
    var order = Array(keys.indices)
    var width = 1
    while width < order.count {
      var merged: [Int] = []
      merged.reserveCapacity(order.count)
      for start in stride(from: 0, to: order.count, by: 2 * width) {
        let middle = min(start + width, order.count)
        let end = min(start + 2 * width, order.count)
        var (left, right) = (start, middle)
        while left < middle || right < end {
          var takesRight = left == middle
          if !takesRight, right < end {
            let comparison = try self.order(keys[order[right]], keys[order[left]], "<")
            takesRight = isReversed ? comparison > 0 : comparison < 0
          }
          merged.append(order[takesRight ? right : left])
          if takesRight { right += 1 } else { left += 1 }
        }
      }
      order = merged
      width *= 2
    }
    return order
  }

  // MARK: Numbers

  private func length(_ value: TemplateValue) throws(TemplateError) -> Int {
    switch value {
    case .undefined: return 0
    case .string(let text):
      try charge(text: text.count)
      return text.text.unicodeScalars.count
    case .list(let list): return list.items.count
    case .dictionary(let dictionary): return dictionary.count
    case .loop(let loop): return loop.items.items.count
    default: throw fail("\(value.typeName) has no length")
    }
  }

  private func integerValue(_ value: TemplateValue) -> Int? {
    if let integer = value.integer { return integer }
    if let number = value.number { return Int(exactly: number.rounded(.towardZero)) }
    guard case .string(let text) = value else { return nil }
    let digits = stripped(text, nil, start: true, end: true).text
    return Int(digits) ?? Double(digits).flatMap { Int(exactly: $0.rounded(.towardZero)) }
  }

  private func floatValue(_ value: TemplateValue) throws(TemplateError) -> Double? {
    if let number = value.number { return number }
    guard case .string(let text) = value else { return nil }
    return Double(stripped(text, nil, start: true, end: true).text)
  }

  private func rounded(_ value: TemplateValue, _ call: TemplateCall) throws(TemplateError) -> TemplateValue {
    guard let number = value.number else { throw fail("'round' needs a number, not \(value.typeName)") }
    let precision = call[0, "precision"]?.integer ?? 0
    guard (0...15).contains(precision) else { throw fail("'round' takes 0 to 15 decimals") }
    let method = try string(call[1, "method"] ?? .string("common")).text
    if method == "common", let integer = value.integer { return .integer(integer) }
    var scale = 1.0
    for _ in 0..<precision { scale *= 10 }
    switch method {
    case "ceil": return .float((number * scale).rounded(.up) / scale)
    case "floor": return .float((number * scale).rounded(.down) / scale)
    case "common": return .float((number * scale).rounded(.toNearestOrEven) / scale)
    default: throw fail("no rounding '\(method)'")
    }
  }
}
