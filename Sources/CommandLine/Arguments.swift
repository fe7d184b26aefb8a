/// A tool's whole command line, declared.
package struct CommandLineSpec: Sendable {
  package struct Group: Sendable {
    package let title: String
    package let flags: [FlagSpec]

    package init(_ title: String, _ flags: [FlagSpec]) {
      self.title = title
      self.flags = flags
    }
  }

  package struct Operand: Sendable {
    package let name: String
    /// Operands that are not required may stand before required ones: the tool tells them apart by their number.
    package let required: Bool
    /// The last operand may stand for all that follow.
    package let repeats: Bool

    package init(_ name: String, required: Bool = true, repeats: Bool = false) {
      self.name = name
      self.required = required
      self.repeats = repeats
    }
  }

  /// A longer text of the help, under a title of its own; lines stay as they are.
  package struct Section: Sendable {
    package let title: String
    package let lines: [String]

    package init(_ title: String, _ lines: [String]) {
      self.title = title
      self.lines = lines
    }
  }

  /// A flag that prints a text, after which the tool ends.
  package struct Page: Sendable {
    package let flag: Flag<Bool>
    package let text: @Sendable () -> String

    package init(_ flag: Flag<Bool>, _ text: @escaping @Sendable () -> String) {
      self.flag = flag
      self.text = text
    }
  }

  package let tool: String
  package let summary: String
  /// Those of the tool, and last those that every tool has.
  package let groups: [Group]
  package let pages: [Page]
  package let operands: [Operand]
  package let sections: [Section]
  /// Command lines to copy, shown at the end of the help.
  package let examples: [String]

  /// - Parameter summary: one sentence or more, the first of which tells the tool from others.
  package init(
    tool: String, summary: String, groups: [Group], operands: [Operand] = [], pages: [Page] = [],
    sections: [Section] = [], examples: [String] = []
  ) {
    self.tool = tool
    self.summary = summary
    self.groups = groups + [Group("Other", pages.map(\.flag.spec) + StandardFlags.all)]
    self.pages = pages
    self.operands = operands
    self.sections = sections
    self.examples = examples
    var seen: Set<String> = []
    for name in self.groups.flatMap(\.flags).flatMap(\.names) {
      precondition(seen.insert(name).inserted, "CommandLineSpec: \(name) is declared twice")
    }
  }

  /// Reads the arguments behind the tool's name.
  ///
  /// `--flag value`, `--flag=value` and, for one dash, `-f value`; `--` ends the flags; `-` is an operand or a value.
  /// Underscores in long names count as dashes. Of a flag given twice the last value stands, unless it is read with
  /// `all`.
  package func parse(_ arguments: some Sequence<String>) throws(UsageError) -> Arguments {
    let flags = groups.flatMap(\.flags)
    var specs: [String: FlagSpec] = [:]
    for flag in flags { for name in flag.names { specs[name] = flag } }
    var values: [String: [String]] = [:]
    var operands: [String] = []
    let list = Array(arguments)
    var index = 0
    var flagsEnded = false
    while index < list.count {
      let argument = list[index]
      index += 1
      if flagsEnded || argument == "-" || !argument.hasPrefix("-") {
        operands.append(argument)
        continue
      }
      if argument == "--" {
        flagsEnded = true
        continue
      }
      let (name, attached) = CommandLineSpec.split(argument)
      guard let flag = specs[name] else {
        throw .unknownFlag(name, nearest: NearestName.find(name, among: flags.flatMap(\.names)))
      }
      var value = ""
      if flag.placeholder == nil {
        if let attached { throw .unexpectedValue(flag: name, value: attached) }
      } else if let attached {
        value = attached
      } else {
        guard index < list.count else { throw .missingValue(flag: name, expected: flag.expected, found: nil) }
        value = list[index]
        // A value may begin with a dash (-n -1), but the name of a flag there means that the value was forgotten.
        if specs[CommandLineSpec.split(value).name] != nil {
          throw .missingValue(flag: name, expected: flag.expected, found: value)
        }
        index += 1
      }
      guard flag.accepts(value) else { throw .invalidValue(flag: name, value: value, expected: flag.expected) }
      values[flag.name, default: []].append(value)
    }
    return Arguments(values: values, operands: operands)
  }

  /// Refuses too few or too many operands; apart from `parse`, so that `--help` needs none.
  package func checkOperands(_ arguments: Arguments) throws(UsageError) {
    let given = arguments.operands.count
    let required = operands.filter(\.required)
    if given < required.count { throw .missingOperand(required[given].name) }
    if given > operands.count, operands.last?.repeats != true {
      throw .unexpectedOperand(arguments.operands[operands.count])
    }
  }

  private static func split(_ argument: String) -> (name: String, value: String?) {
    guard argument.hasPrefix("--") else { return (argument, nil) }
    let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let name = String(parts[0].map { $0 == "_" ? "-" : $0 })
    return (name, parts.count > 1 ? String(parts[1]) : nil)
  }
}

/// What a command line said.
package struct Arguments: Sendable {
  private let values: [String: [String]]
  package let operands: [String]

  fileprivate init(values: [String: [String]], operands: [String]) {
    self.values = values
    self.operands = operands
  }

  /// The last value given, else the flag's default, else nil.
  package subscript<Value>(_ flag: Flag<Value>) -> Value? {
    values[flag.spec.name]?.last.flatMap(flag.decode) ?? flag.fallback
  }

  package subscript(_ flag: Flag<Bool>) -> Bool { values[flag.spec.name] != nil }

  /// The last value given, else the flag's default, which it must have.
  package func value<Value>(_ flag: Flag<Value>) -> Value {
    guard let value = self[flag] else { preconditionFailure("\(flag.spec.name) has no default") }
    return value
  }

  /// Every value given, in order.
  package func all<Value>(_ flag: Flag<Value>) -> [Value] { (values[flag.spec.name] ?? []).compactMap(flag.decode) }

  package func isGiven<Value>(_ flag: Flag<Value>) -> Bool { values[flag.spec.name] != nil }

  /// The flag's value; a usage error naming the flag without one.
  package func require<Value>(_ flag: Flag<Value>) throws(UsageError) -> Value {
    guard let value = self[flag] else { throw .missingFlag(flag.spec.name) }
    return value
  }
}
