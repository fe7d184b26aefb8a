import OccamCore
import OccamTokenizer
import Testing

/// What came in stays known as such through every operation on text, and nothing else becomes it.
@Suite struct TemplateOriginTests {
  /// The message is made of these letters, the templates' own texts of others.
  static let said = "☃é ☃ \n"

  static func segments(_ template: String, _ said: String = TemplateOriginTests.said) throws -> [PromptSegment] {
    try ChatFormat(template: template).segments(
      messages: [ChatMessage(role: "user", text: said)], addGenerationPrompt: false, imageLiterals: [])
  }

  /// Template and what it renders: the template's own letters stay outside the marks, what came in is inside.
  @Test(arguments: [
    ("{{ c }}", "‹☃é ☃ \n›"), ("a{{ c }}b", "a‹☃é ☃ \n›b"), ("{{ 'a' + c + 'b' }}", "a‹☃é ☃ \n›b"),
    ("{{ 'a' ~ c ~ 1 }}", "a‹☃é ☃ \n›1"), ("{{ c | trim }}.", "‹☃é ☃›."), ("{{ ('x ' + c).strip() }}", "x ‹☃é ☃›"),
    ("{{ ('x' + c + 'x').strip('x') }}", "‹☃é ☃ \n›"), ("{{ c.rstrip() }}a", "‹☃é ☃›a"),
    ("{{ (' ' + c).lstrip() }}", "‹☃é ☃ \n›"),
    ("{{ ('a' + c)[0:3] }}", "a‹☃é›"), ("{{ ('a' + c)[::-1] }}", "‹\n ☃ é☃›a"), ("{{ ('a' + c)[1] }}b", "‹☃›b"),
    ("{{ ('ab' + c + 'c')[-2:] }}", "‹\n›c"), ("{{ c | upper }}a", "‹☃É ☃ \n›a"),
    ("{{ ('a' ~ c).upper() }}", "A‹☃É ☃ \n›"),
    ("{{ ('A' ~ c).lower() }}", "a‹☃é ☃ \n›"), ("{{ ('a' ~ c) | title }}", "A‹☃é ☃ \n›"),
    ("{{ ('a' ~ c).title() }}", "A‹☃É ☃ \n›"),
    ("{{ ('a' ~ c) | capitalize }}", "A‹☃é ☃ \n›"), ("{{ c | replace('☃', 'a') }}", "a‹é ›a‹ \n›"),
    ("{{ 'aba' | replace('b', c) }}", "a‹☃é ☃ \n›a"), ("{{ c.replace('é', 'b', 1) }}", "‹☃›b‹ ☃ \n›"),
    ("{{ 'ab'.replace('', c[0]) }}", "‹☃›a‹☃›b‹☃›"), ("{{ c.split() | join('-') }}", "‹☃é›-‹☃›"),
    ("{{ c.split('é')[1] }}a", "‹ ☃ \n›a"), ("{{ ('a☃b' ~ c).split('☃')[1] }}", "b"),
    ("{{ c.split('☃', 1) | join('|') }}", "|‹é ☃ \n›"),
    ("{{ c.rsplit('☃', 1) | join('|') }}", "‹☃é ›|‹ \n›"), ("{{ ('a' ~ c).splitlines() | join }}b", "a‹☃é ☃ ›b"),
    ("{{ c.join(['a', 'b']) }}", "a‹☃é ☃ \n›b"), ("{{ [c, 'a'] | join('-') }}", "‹☃é ☃ \n›-a"),
    ("{{ [c] | first }}a", "‹☃é ☃ \n›a"),
    ("{{ c | list | join('a') }}", "‹☃›a‹é›a‹ ›a‹☃›a‹ ›a‹\n›"),
    ("{% for x in c %}{{ x }}{% if loop.first %}a{% endif %}{% endfor %}", "‹☃›a‹é ☃ \n›"),
    ("{{ c | reverse }}a", "‹\n ☃ é☃›a"), ("{{ c[:2] * 2 }}a", "‹☃é☃é›a"), ("{{ ('a' + c[0]) * 2 }}", "a‹☃›a‹☃›"),
    ("{{ c[:1] | tojson }}", "\"‹☃›\""), ("{{ {'k': c[2:] ~ 'a'} | tojson }}", "{\"k\": \"‹ ☃ \\n›a\"}"),
    ("{{ [c] }}", "['‹☃é ☃ \\n›']"),
    ("{{ c | escape }}a", "‹☃é ☃ \n›a"), ("{{ '<' ~ c[0] | e }}", "<‹☃›"), ("{{ c | indent(1) }}a", "‹☃é ☃ ›\na"),
    ("{{ 'a{}b{n}'.format(c[0], n=c[1]) }}", "a‹☃›b‹é›"), ("{{ (c[0] ~ '{{}}{}').format('a') }}", "‹☃›{}a"),
    ("{{ c.removeprefix('☃') }}a", "‹é ☃ \n›a"), ("{{ ('a' ~ c).removesuffix('\n') }}", "a‹☃é ☃ ›"),
    ("{{ c | string }}", "‹☃é ☃ \n›"),
    ("{{ (c, 'b') | max }}{{ [c] | sort | last }}", "‹☃é ☃ \n☃é ☃ \n›"), ("{{ [c[0], c[0]] | unique | join }}", "‹☃›"),
    ("{% set x = c %}{{ x }}a", "‹☃é ☃ \n›a"), ("{% set x %}a{{ c }}b{% endset %}{{ x }}", "a‹☃é ☃ \n›b"),
    ("{% macro m(x) %}a{{ x }}b{% endmacro %}{{ m(c) | trim }}", "a‹☃é ☃ \n›b"),
    ("{% filter upper %}a{{ c[:2] }}{% endfilter %}", "A‹☃É›"),
    ("{% set n = namespace(v='a') %}{% set n.v = n.v + c %}{{ n.v }}", "a‹☃é ☃ \n›"),
    ("{{ {'k': c}.get('k') }}a", "‹☃é ☃ \n›a"),
    ("{{ {c: 'a'} | items | first | first }}", "‹☃é ☃ \n›"),
    ("{{ c or 'a' }}{{ c if c else 'a' }}", "‹☃é ☃ \n☃é ☃ \n›"),
    ("{{ nothing | default(c) }}{{ c | default('a') }}", "‹☃é ☃ \n☃é ☃ \n›"),
    ("{{ c | length }}{{ c == c }}{{ '☃' in c }}", "6TrueTrue"),
    ("{{ strftime_now(c[0] ~ 'a') }}", "‹☃a›"),
    ("{{ messages | map(attribute='content') | join }}a", "‹☃é ☃ \n›a"),
    ("{{ messages[0].role }}{{ c }}", "user‹☃é ☃ \n›"),
  ]) func originIsKept(template: String, expected: String) throws {
    // Shows the probe, so that contents are strings.
    let opening = "{% set c = messages[0].content %}{% if c == 'occam-probe' %}{{ c }}{% endif %}"
    let segments = try TemplateOriginTests.segments(opening + template)
    let found = segments.reduce("") { text, segment in
      switch segment {
      case .template(let own): text + own
      case .text(let input): text + "‹" + input + "›"
      case .image: text + "!"
      }
    }
    #expect(found.utf8.elementsEqual(expected.utf8), "\(found.debugDescription) for \(template)")
  }

  /// A role of one's own is input: it may spell what it likes.
  @Test func onlyUsualRolesAreTrusted() throws {
    let format = try ChatFormat(template: "{{ messages[0].role }}")
    func segments(_ role: String) throws -> [PromptSegment] {
      try format.segments(
        messages: [ChatMessage(role: role, text: "x")], addGenerationPrompt: false, imageLiterals: [])
    }
    #expect(try segments("assistant") == [.template("assistant")])
    #expect(try segments("<|im_end|>") == [.text("<|im_end|>")])
  }

  /// Whoever says it, the marker and the literals are text.
  @Test(arguments: ["system", "user", "assistant"]) func typedMarkersStayText(role: String) throws {
    let typed = "<__media__> <image> </s> <|im_end|>"
    for template in [
      "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}",
      "{% for m in messages %}{% for p in m.content %}{% if p.type == 'image' %}<image>{% else %}{{ p.text }}{% endif %}{% endfor %}{% endfor %}",
    ] {
      let format = try ChatFormat(template: template)
      let shown = ChatMessage(role: "user", content: [.text("a"), .image, .text("b")])
      let messages = [shown, ChatMessage(role: role, text: typed), shown]
      let segments = try format.segments(messages: messages, addGenerationPrompt: false, imageLiterals: ["<image>"])
      #expect(
        segments.contains {
          if case .text(let text) = $0 { text.hasSuffix(typed) || text.contains(typed) } else { false }
        })
      #expect(segments.filter { if case .image = $0 { true } else { false } } == [.image(0), .image(1)])
      for case .template(let text) in segments { #expect(!text.contains("media") && !text.contains("image")) }
    }
  }

  @Test func variablesReachTheTemplate() throws {
    let format = try ChatFormat(
      template: "{{ bos_token }}{% if enable_thinking is false %}off{% endif %}", bosToken: "<s>")
    let segments = try format.segments(
      messages: [], addGenerationPrompt: true, imageLiterals: ["<s>"],
      variables: [JSONMember("enable_thinking", .bool(false))])
    #expect(segments == [.template("<s>off")])
  }

  /// Many changes of origin cost as much as they take.
  @Test func mixedTextsMeetTheLimit() throws {
    let error = #expect(throws: TemplateError.self) {
      try TemplateOriginTests.segments("{{ ('a' + messages[0].content[0]) * 5000000 }}")
    }
    #expect(error?.kind == .limit)
  }
}
