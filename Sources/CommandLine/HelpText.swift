import OccamCore

extension CommandLineSpec {
  /// The text of `--help`: names in one column, explanations wrapped in the other.
  /// - Parameter width: columns of the terminal; at least 40 are used.
  package func help(width: Int) -> String {
    let width = max(width, 40)
    var text = wrap(summary, to: width).map { $0 + "\n" }.joined() + "\nUsage: \(tool)"
    text += synopsis.map { " " + $0 }.joined() + "\n"
    let labels = groups.map { $0.flags.map(CommandLineSpec.label) }
    let longest = labels.joined().map(\.count).max() ?? 0
    let column = min(longest, max(width * 2 / 5, 18)) + 4
    for (group, labels) in zip(groups, labels) where !group.flags.isEmpty {
      text += "\n\(group.title):\n"
      for (flag, label) in zip(group.flags, labels) {
        let lines = wrap(CommandLineSpec.explanation(flag), to: max(width - column, 20))
        var start = "  " + label
        if start.count + 2 > column {
          text += start + "\n"
          start = ""
        }
        for line in lines {
          text += pad(start, column, left: true) + line + "\n"
          start = ""
        }
      }
    }
    for section in sections { text += "\n\(section.title):\n" + section.lines.map { "  \($0)\n" }.joined() }
    if !examples.isEmpty { text += "\nExamples:\n" + examples.map { "  \($0)\n" }.joined() }
    return text
  }

  /// What follows the tool's name.
  var synopsis: [String] {
    ["[flags]"]
      + operands.map { operand in
        let name = operand.repeats ? "\(operand.name)..." : operand.name
        return operand.required ? name : "[\(name)]"
      }
  }

  private static func label(_ flag: FlagSpec) -> String {
    flag.names.joined(separator: ", ") + (flag.placeholder.map { " \($0)" } ?? "")
  }

  static func explanation(_ flag: FlagSpec) -> String {
    guard let fallback = flag.fallback, !fallback.isEmpty else { return flag.help }
    return "\(flag.help) (default: \(fallback))"
  }
}

/// Breaks a text at spaces into lines of at most `width` characters; longer words stand alone. Never empty.
func wrap(_ text: String, to width: Int) -> [String] {
  var lines: [String] = []
  var line = ""
  for word in text.split(separator: " ") {
    if !line.isEmpty, line.count + 1 + word.count > width {
      lines.append(line)
      line = ""
    }
    line += line.isEmpty ? word : " " + word
  }
  return lines + (line.isEmpty && !lines.isEmpty ? [] : [line])
}
