/// Why a chat template cannot be read or rendered.
package struct TemplateError: Error, Equatable, CustomStringConvertible {
  package enum Kind: String, Sendable {
    case syntax
    case evaluation
    /// One of `TemplateLimits` was reached.
    case limit
    /// The template itself refused its input with raise_exception.
    case raised
    /// The rendered text does not show as many images as the conversation has.
    case images
  }
  package let kind: Kind
  /// Line of the template, from 1; 0 where none is to blame.
  package let line: Int
  package let reason: String

  package init(_ kind: Kind, line: Int, _ reason: String) {
    self.kind = kind
    self.line = line
    self.reason = reason
  }

  package var description: String { "chat template\(line > 0 ? ", line \(line)" : ""): \(reason)" }
}

/// What a template may cost. Templates come with model files, so that none may hang or exhaust its host.
package struct TemplateLimits: Sendable {
  package var sourceBytes = 1 << 20
  /// Evaluated nodes, plus one for every 8 bytes of text made, read or compared, and some for every list element.
  package var steps = 10_000_000
  /// Of the rendered text, and of every text made on the way.
  package var outputBytes = 32 << 20
  /// Nested expressions and statements, in the source and while evaluating (macros that call themselves).
  package var nesting = 100
  /// Lists within lists.
  package var valueDepth = 64
  /// Elements of one range, as in Jinja's sandbox.
  package var range = 100_000

  package init() {}
}
