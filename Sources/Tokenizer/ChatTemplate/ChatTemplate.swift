import Glibc
import OccamCore

/// A chat template in the Jinja dialect that model files carry (`tokenizer.chat_template`), as the transformers
/// library runs it: trim_blocks, lstrip_blocks, loop controls, `tojson` that escapes nothing, raise_exception and
/// strftime_now. Not supported, with an error that says so: inheritance, imports, recursive loops, unpacked arguments.
package struct ChatTemplate: Sendable {
  private let nodes: [TemplateNode]
  private let limits: TemplateLimits

  package init(_ source: String, limits: TemplateLimits = TemplateLimits()) throws(TemplateError) {
    nodes = try TemplateParser.parse(source, limits: limits)
    self.limits = limits
  }

  /// - Parameters:
  ///   - variables: an object; its members are the template's variables.
  ///   - now: seconds since 1970, for strftime_now.
  package func render(_ variables: JSONValue, now: Int = time(nil)) throws(TemplateError) -> String {
    var values: [String: TemplateValue] = [:]
    if case .object(let members) = variables {
      for member in members { values[member.name] = TemplateValue(member.value) }
    }
    return try render(values, now: now).text
  }

  /// Renders variables that say of their texts which came in from outside.
  func render(_ values: [String: TemplateValue], now: Int = time(nil)) throws(TemplateError) -> TemplateString {
    try TemplateEvaluator(variables: values, limits: limits, now: now).render(nodes)
  }
}
