import OccamCore

extension CommandLineSpec {
  /// The tool's manual page for section 1, in the roff macros of man(7).
  package func manualPage() -> String {
    let capitals = String(tool.map { $0 == "_" ? "-" : Character($0.uppercased()) })
    let names = summary.prefix { $0 != "." }
    let name = names.prefix(1).lowercased() + names.dropFirst()
    var text = ".TH \(roff(capitals)) 1 \"\" \"Occam \(roff(Release.version))\" \"Occam\"\n"
    text += ".SH NAME\n\(roff(tool)) \\- \(roff(name))\n"
    text += ".SH SYNOPSIS\n.B \(roff(tool))\n\(roff(synopsis.joined(separator: " ")))\n"
    text += ".SH DESCRIPTION\n\(roffLine(summary))\n.SH OPTIONS\n"
    for group in groups where !group.flags.isEmpty {
      text += ".SS \(roff(group.title))\n"
      for flag in group.flags {
        let names = flag.names.map { "\\fB\(roff($0))\\fR" }.joined(separator: ", ")
        let value = flag.placeholder.map { " \\fI\(roff($0))\\fR" } ?? ""
        text += ".TP\n\(names)\(value)\n\(roffLine(CommandLineSpec.explanation(flag)))\n"
      }
    }
    for section in sections { text += ".SH \(roff(section.title.uppercased()))\n" + verbatim(section.lines) }
    text += """
      .SH EXIT STATUS
      0: done. 1: something failed; the line on standard error says what. 2: the command line cannot be understood.
      130: interrupted.

      """
    if !examples.isEmpty { text += ".SH EXAMPLES\n" + verbatim(examples) }
    return text
  }
}

/// Lines that stay as they are.
private func verbatim(_ lines: [String]) -> String { ".nf\n" + lines.map { roffLine($0) + "\n" }.joined() + ".fi\n" }

/// A text whose characters all stand for themselves: a plain dash would become a hyphen, which nobody can paste.
private func roff(_ text: String) -> String {
  var result = ""
  for character in text {
    switch character {
    case "\\": result += "\\e"
    case "-": result += "\\-"
    case "'": result += "\\(aq"
    case "\"": result += "\\(dq"
    case "`": result += "\\(ga"
    case "^": result += "\\(ha"
    case "~": result += "\\(ti"
    default: result.append(character)
    }
  }
  return result
}

/// The same at the beginning of a line, where a dot would begin a macro.
private func roffLine(_ text: String) -> String { (text.hasPrefix(".") ? "\\&" : "") + roff(text) }
