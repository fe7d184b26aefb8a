import Glibc
import OccamCore
import OccamTokenizer
import Testing

@Suite struct ChatTemplateTests {
  static func error(_ source: String, limits: TemplateLimits = TemplateLimits()) -> TemplateError? {
    do {
      _ = try ChatTemplate(source, limits: limits).render(["n": 1])
      return nil
    } catch {
      return error
    }
  }

  @Test func errorsNameLineAndConstruct() {
    #expect(
      ChatTemplateTests.error("a\n\n{{ x.y }}")?.description
        == "chat template, line 3: 'x' is undefined, so that it has no 'y'")
    #expect(
      ChatTemplateTests.error("a\n{% frob %}")?.description
        == "chat template, line 2: the statement 'frob' is not supported")
    #expect(ChatTemplateTests.error("{% if n %}\n\n")?.reason == "'if' has no 'endif'")
    #expect(ChatTemplateTests.error("{{ n | frob }}")?.reason == "no filter 'frob'")
    #expect(ChatTemplateTests.error("{{ n is frob }}")?.reason == "no test 'frob'")
    #expect(
      ChatTemplateTests.error("\n{{ raise_exception('no images') }}") == TemplateError(.raised, line: 2, "no images"))
    #expect(ChatTemplateTests.error("{% include 'x' %}")?.kind == .syntax)
    #expect(ChatTemplateTests.error("{{ 9223372036854775807 + 1 }}")?.reason == "the result of '+' is too large")
    #expect(ChatTemplateTests.error("{{ 99999999999999999999 }}")?.kind == .syntax)
    #expect(ChatTemplateTests.error("{{ (-9223372036854775807 - 1) // -1 }}")?.kind == .evaluation)
    #expect(ChatTemplateTests.error("{{ (-9223372036854775807 - 1) % -1 }}") == nil)
    #expect(ChatTemplateTests.error("{{ 2 ** 63 }}")?.kind == .evaluation)
    #expect(ChatTemplateTests.error("{{ -(-9223372036854775807 - 1) }}")?.kind == .evaluation)
  }

  /// Each would take all memory, all time or all stack.
  @Test(arguments: [
    "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
    "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "{% set ns = namespace(x='aaaaaaaa') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(100000) %}{% set ns.x = [ns.x] %}{% endfor %}",
    "{% set ns = namespace(x={}) %}{% for i in range(100000) %}{% set ns.x = {'a': ns.x} %}{% endfor %}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson }}",
    "{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x == ns.x }}",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "{% macro m() %}{{ caller() }}{% endmacro %}{% call m() %}{{ caller() }}{% endcall %}",
    "{{ 'a' * 999999999999 }}", "{{ ('a' * 30000000) | replace('a', 'bb') }}", "{{ ('a' * 30000000).split('a') }}",
    "{{ range(100000) | list | join('x' * 10000) }}", "{{ range(-9223372036854775807, 9223372036854775807) }}",
    "{% for i in range(100000) %}{{ 'a' * 1000 }}{% endfor %}",
    "{% for i in range(100000) %}{% macro m() %}{% endmacro %}{% endfor %}",
    "{% for i in range(100000) %}{% for c in 'a' * 100000 %}{% endfor %}{% endfor %}",
    "{% set a = 'a' * 1000000 %}{% for i in range(100000) %}{% if a == a ~ 'b' %}{% endif %}{% endfor %}",
    "{% set a = 'a' * 1000000 %}{% for i in range(100000) %}{{ a | length }}{% endfor %}",
    "{{ strftime_now('%c' * 1000) }}",
  ]) func hostileTemplatesMeetALimit(source: String) {
    // A tenth of the usual steps, to be quick.
    var limits = TemplateLimits()
    limits.steps /= 10
    #expect(ChatTemplateTests.error(source, limits: limits)?.kind == .limit)
  }

  @Test(arguments: [
    ("(", ")"), ("[", "]"), ("{1:", "}"), ("-", ""), ("not ", ""), ("n if n else ", ""), ("n[", "]"), ("n(", ")"),
    ("n|f(", ")"), ("n is f(", ")"),
  ]) func deepExpressionsMeetALimit(open: String, close: String) {
    let source = "{{ " + String(repeating: open, count: 20_000) + "n" + String(repeating: close, count: 20_000) + " }}"
    #expect(ChatTemplateTests.error(source)?.kind == .limit)
  }

  @Test(arguments: ["{% if n %}", "{% for a in n %}", "{% set a %}", "{% macro a() %}", "{% filter trim %}"])
  func deepStatementsMeetALimit(piece: String) {
    #expect(ChatTemplateTests.error(String(repeating: piece, count: 20_000))?.kind == .limit)
  }

  /// The deepest recursion the limits allow, on half a megabyte of stack, as small systems give their threads.
  @Test func theNestingLimitFitsASmallStack() {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setstacksize(&attributes, 512 << 10)
    var thread = pthread_t()
    let start: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { _ in
      let inner = "{% for a in [1] %}{{ [[[m()]]] | join(m()) }}{% endfor %}"
      let error = ChatTemplateTests.error("{% macro m() %}{% if 1 %}\(inner){% endif %}{% endmacro %}{{ m() }}")
      return error?.kind == .limit ? UnsafeMutableRawPointer(bitPattern: 1) : nil
    }
    #expect(pthread_create(&thread, &attributes, start, nil) == 0)
    var result: UnsafeMutableRawPointer?
    pthread_join(thread, &result)
    #expect(result != nil)
  }

  @Test func longChainsAreNotDeep() throws {
    let sum = try ChatTemplate("{{ " + String(repeating: "1 + ", count: 20_000) + "1 }}").render([:])
    #expect(sum == "20001")
    let chain = String(repeating: " | trim", count: 20_000)
    #expect(try ChatTemplate("{{ 'a'" + chain + " }}").render([:]) == "a")
    let elses = String(repeating: "{% elif no %}b", count: 5_000)
    #expect(try ChatTemplate("{% if no %}a" + elses + "{% else %}c{% endif %}").render([:]) == "c")
  }

  @Test func everyLimitHasAnEdge() throws {
    var limits = TemplateLimits()
    limits.sourceBytes = 4
    #expect(ChatTemplateTests.error("abcd", limits: limits) == nil)
    #expect(ChatTemplateTests.error("abcde", limits: limits)?.kind == .limit)
    limits = TemplateLimits()
    limits.outputBytes = 10
    #expect(ChatTemplateTests.error("{% for i in range(10) %}a{% endfor %}", limits: limits) == nil)
    #expect(ChatTemplateTests.error("{% for i in range(11) %}a{% endfor %}", limits: limits)?.kind == .limit)
    #expect(ChatTemplateTests.error("{% set x = 'a' * 11 %}", limits: limits)?.kind == .limit)
    limits = TemplateLimits()
    limits.range = 3
    #expect(ChatTemplateTests.error("{{ range(3) }}{{ range(3, -3, -2) }}", limits: limits) == nil)
    #expect(ChatTemplateTests.error("{{ range(4) }}", limits: limits)?.kind == .limit)
    limits = TemplateLimits()
    limits.valueDepth = 2
    #expect(ChatTemplateTests.error("{{ [[1]] }}", limits: limits) == nil)
    #expect(ChatTemplateTests.error("{{ [[[1]]] }}", limits: limits)?.kind == .limit)
    limits = TemplateLimits()
    limits.steps = 100
    #expect(ChatTemplateTests.error("{{ n }}", limits: limits) == nil)
    #expect(ChatTemplateTests.error(String(repeating: "{{ n }}", count: 100), limits: limits)?.kind == .limit)
    limits = TemplateLimits()
    limits.nesting = 5
    #expect(ChatTemplateTests.error("{{ (1) }}", limits: limits)?.kind == nil)
    #expect(ChatTemplateTests.error("{{ ((1)) }}", limits: limits)?.kind == .limit)
  }

  /// Any cut and any changed byte of a real template gives a text or an error, never a trap.
  @Test func brokenTemplatesNeverTrap() throws {
    let golden = try JSONValue(parsing: try Files.read("\(ChatTemplateGoldenTests.folder)/chats.json"))
    var templates: [String: JSONValue] = [:]
    for entry in golden["cases"]?.arrayValue ?? [] {
      if let template = entry["template"]?.stringValue { templates[template] = entry["variables"] }
    }
    #expect(templates.count >= 9)
    var generator = SeededGenerator(seed: 4)
    for (template, variables) in templates {
      let bytes = Array(template.utf8)
      for _ in 0..<150 {
        var changed = bytes
        for _ in 0..<Int(generator.next() % 3 + 1) {
          let place = Int(generator.next() % UInt64(changed.count))
          switch generator.next() % 3 {
          case 0: changed[place] = UInt8(generator.next() % 128)
          case 1: changed.remove(at: place)
          default: changed.removeLast(changed.count - place - 1)
          }
        }
        _ = try? ChatTemplate(String(decoding: changed, as: UTF8.self)).render(variables)
      }
    }
  }
}

@Suite struct ChatTemplateFormatTests {
  static let turns = [
    ChatMessage(role: "system", text: "Be kind."),
    ChatMessage(role: "user", content: [.image, .text("What is this?"), .text("Be short.")]),
    ChatMessage(role: "assistant", text: "A cat."), ChatMessage(role: "user", text: "Sure?"),
  ]

  static func source(_ name: String) throws -> String {
    let golden = try JSONValue(parsing: try Files.read("\(ChatTemplateGoldenTests.folder)/chats.json"))
    let entry = golden["cases"]?.arrayValue?.first { $0["name"]?.stringValue?.hasPrefix("\(name) /") == true }
    return try #require(entry?["template"]?.stringValue)
  }

  @Test func vicunaIsLlamaCppsFormat() throws {
    let format = try ChatFormat(builtin: .vicuna)
    #expect(
      try format.render(messages: ChatTemplateFormatTests.turns, addGenerationPrompt: true)
        == "Be kind.\n\nUSER: <__media__>What is this?\nBe short.\nASSISTANT: A cat.</s>\nUSER: Sure?\nASSISTANT:")
    #expect(try format.render(messages: [], addGenerationPrompt: false) == "")
  }

  @Test func chatmlAndPlain() throws {
    let last = Array(ChatTemplateFormatTests.turns.suffix(1))
    #expect(
      try ChatFormat(nameOrTemplate: "chatml").render(messages: last, addGenerationPrompt: true)
        == "<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n")
    #expect(try ChatFormat(builtin: .plain).render(messages: last, addGenerationPrompt: true) == "Sure?")
    #expect(
      try ChatFormat(nameOrTemplate: "{{ messages | length }}").render(messages: last, addGenerationPrompt: true) == "1"
    )
  }

  @Test(arguments: [
    ("llama-2", false), ("chatml", false), ("llama-3", false), ("mistral", false), ("phi-3", false), ("vicuna", false),
    ("qwen2-vl", false), ("smolvlm", true), ("llava-1.5", true),
  ]) func templatesThatTakePartsAreTold(name: String, takesParts: Bool) throws {
    let format = try ChatFormat(template: try ChatTemplateFormatTests.source(name), bosToken: "<s>", eosToken: "</s>")
    #expect(format.takesParts == takesParts)
    let question = [ChatTemplateFormatTests.turns[1]]
    let prompt = try format.render(messages: question, addGenerationPrompt: true)
    #expect(prompt.firstRange(of: "<__media__>What is this?\nBe short.") != nil)
  }

  @Test func markersStandWhereImagesStand() throws {
    let message = ChatMessage(role: "user", content: [.text("a"), .image, .image, .text("b"), .text("c"), .image])
    #expect(
      try ChatFormat(builtin: .plain).render(messages: [message], addGenerationPrompt: false)
        == "a<__media__><__media__>b\nc<__media__>")
  }

  @Test func aTemplatesRefusalIsItsOwnError() throws {
    let format = try ChatFormat(template: try ChatTemplateFormatTests.source("gemma"))
    #expect(throws: TemplateError(.raised, line: 1, "System role not supported")) {
      try format.render(messages: ChatTemplateFormatTests.turns, addGenerationPrompt: true)
    }
    #expect(throws: TemplateError.self) { try ChatFormat(template: "{% if %}") }
  }
}
