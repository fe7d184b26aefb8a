/// Why a text is no grammar, or a schema none that replies can be held to.
package struct GrammarError: Error, Sendable, CustomStringConvertible {
  /// A rule, a line, or the JSON pointer of a schema's keyword.
  package let subject: String
  package let reason: String

  init(_ subject: String, _ reason: String) {
    self.subject = subject
    self.reason = reason
  }

  package var description: String { "\(subject): \(reason)" }
}

/// What a grammar may cost.
package struct GrammarLimits: Sendable {
  /// Of a grammar's or a schema's text.
  package var bytes = 1 << 18
  package var rules = 8192
  /// Of one repetition, as `{1,2000}`.
  package var repetitions = 2000
  /// Nodes of the automaton's graph, repetitions written out.
  package var nodes = 200_000
  /// Edges, calls and steps of that graph, as they are written and again when the steps are taken away.
  package var edges = 3_200_000
  /// Levels of groups in each other, and of schemas.
  package var depth = 64
  /// Rules that a reply may be inside of: objects in arrays in objects.
  package var stackDepth = 256
  /// Characters of a property's name where other names are allowed beside it.
  package var nameLength = 256
  /// Places in rules where a text may be at once, a quarter of those looked at. A text that would be at more is not
  /// allowed.
  package var places = 4096
  /// States of an automaton that are remembered before a fresh one begins.
  package var states = 16_384
  /// Places and calls of those states together.
  package var statePlaces = 1 << 20
  /// Bytes of the masks that are remembered.
  package var maskBytes = 32 << 20

  package init() {}
}
