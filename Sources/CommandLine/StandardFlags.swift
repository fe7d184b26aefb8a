import OccamCore

/// Flags that every tool has. They only print something; `Tool.run` answers them.
package enum StandardFlags {
  /// What packages install beside a tool.
  package enum Document: String, CaseIterable, Sendable { case man, bash }

  package static let help = Flag<Bool>.toggle("-h", "--help", help: "print this help")
  package static let version = Flag<Bool>.toggle("--version", help: "print the version")
  package static let document = Flag<Document>.choice(
    "--generate", help: "print the manual page (roff), or the completion script of a shell")

  static var all: [FlagSpec] { [help.spec, version.spec, document.spec] }
}

extension CommandLineSpec {
  /// What the flags that only print a text ask for; nil: none of them is given.
  /// - Parameter width: columns of the terminal, for the help.
  package func text(asked arguments: Arguments, width: Int) -> String? {
    if arguments[StandardFlags.help] { return help(width: width) }
    if arguments[StandardFlags.version] { return "\(tool) \(Release.version)\n" }
    if let page = pages.first(where: { arguments[$0.flag] }) { return page.text() }
    return switch arguments[StandardFlags.document] {
    case .man: manualPage()
    case .bash: bashCompletion()
    case nil: nil
    }
  }
}
