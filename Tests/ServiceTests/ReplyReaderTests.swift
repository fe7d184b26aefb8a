import Occam
import OccamCore
import OccamService
import Testing

/// Thoughts, text and calls read out of what models write. However a reply is cut, it reads the same.
@Suite struct ReplyReaderTests {
  private static let look = Tool(
    name: "look",
    parameters: """
      {"type": "object", "properties": {"n": {"type": "integer"}, "where": {"type": "string"},
      "all": {"type": "boolean"}, "list": {"type": "array"}}}
      """)

  private static func reader(
    _ template: String, tools: Bool = true, beginsInThought: Bool = false
  ) throws -> ReplyReader {
    let fields = try Fields([:])
    let use = tools ? try ToolUse(fields, [look], template: template) : nil
    return ReplyReader(tools: use, thoughts: ThoughtMarks.of(template: template), beginsInThought: beginsInThought)
  }

  /// Calls without their random identities.
  private static func plain(_ parts: [ReplyPart]) -> [ReplyPart] {
    parts.reduce(into: []) { result, part in
      switch (result.last, part) {
      case (.text(let last), .text(let more)): result[result.count - 1] = .text(last + more)
      case (.thought(let last), .thought(let more)): result[result.count - 1] = .thought(last + more)
      case (_, .call(let call)): result.append(.call(ToolCall(id: "", name: call.name, arguments: call.arguments)))
      default: result.append(part)
      }
    }
  }

  private static func call(_ arguments: String) -> ReplyPart {
    .call(ToolCall(id: "", name: "look", arguments: arguments))
  }

  /// Cut in two at every place, and into single characters.
  private static func expect(
    _ reader: ReplyReader, _ reply: String, _ expected: [ReplyPart], location: SourceLocation = #_sourceLocation
  ) {
    for cut in 0...reply.count {
      var reader = reader
      let parts = reader.push(String(reply.prefix(cut))) + reader.push(String(reply.dropFirst(cut))) + reader.finish()
      #expect(plain(parts) == expected, "cut at \(cut)", sourceLocation: location)
    }
    var single = reader
    let parts = reply.flatMap { single.push(String($0)) } + single.finish()
    #expect(plain(parts) == expected, sourceLocation: location)
    #expect(plain(reader.parts(of: reply)) == expected, sourceLocation: location)
  }

  @Test func hermes() throws {
    let reader = try ReplyReaderTests.reader("<tool_call>")
    let call = "<tool_call>\n{\"name\": \"look\", \"arguments\": {\"n\": 2}}\n</tool_call>"
    let read = ReplyReaderTests.call(#"{"n":2}"#)
    ReplyReaderTests.expect(
      reader, "Let me see. <tool> " + call + "\n" + call, [.text("Let me see. <tool> "), read, read])
    ReplyReaderTests.expect(reader, "2 < 3 <tool_cal", [.text("2 < 3 <tool_cal")])
    ReplyReaderTests.expect(reader, "<tool_call>{\"name\"", [.text("<tool_call>{\"name\"")])
    ReplyReaderTests.expect(reader, "<tool_call>none</tool_call> x", [.text("<tool_call>none</tool_call>x")])
    // The end of the text ends a call, too.
    ReplyReaderTests.expect(reader, String(call.dropLast(12)), [read])
    let identities = Set(
      reader.parts(of: call + call).map { part in if case .call(let call) = part { call.id } else { "" } })
    #expect(identities.count == 2)
  }

  @Test func functions() throws {
    let reader = try ReplyReaderTests.reader("<tool_call><function=x>")
    let reply = """
      I look.

      <tool_call>
      <function=look>
      <parameter=n>
      3
      </parameter>
      <parameter=where>
      on the
        table > 3
      </parameter>
      <parameter=all>
      True
      </parameter>
      <parameter=list>
      [1, "b"]
      </parameter>
      </function>
      </tool_call>
      """
    let arguments = #"{"n":3,"where":"on the\n  table > 3","all":true,"list":[1,"b"]}"#
    ReplyReaderTests.expect(reader, reply, [.text("I look.\n\n"), ReplyReaderTests.call(arguments)])
    ReplyReaderTests.expect(
      reader, "<tool_call><function=look></function></tool_call>", [ReplyReaderTests.call("{}")])
    // A value that its type does not allow is kept as it is.
    ReplyReaderTests.expect(
      reader, "<tool_call><function=look><parameter=n>many</parameter></function></tool_call>",
      [ReplyReaderTests.call(#"{"n":"many"}"#)])
  }

  @Test func gemma() throws {
    let reader = try ReplyReaderTests.reader("<|tool_call>call: <channel|>")
    let quote = "<|\"|>"
    let call =
      "<|tool_call>call:look{n:3,where:\(quote)on {the}, table\(quote),all:true,list:[1.5,\(quote)b\(quote)],"
      + "o:{\(quote)k\(quote):null}}<tool_call|>"
    let arguments = #"{"n":3,"where":"on {the}, table","all":true,"list":[1.5,"b"],"o":{"k":null}}"#
    ReplyReaderTests.expect(reader, call + call, [ReplyReaderTests.call(arguments), ReplyReaderTests.call(arguments)])
    ReplyReaderTests.expect(
      reader, "<|channel>thought\nA cup?\n<channel|>" + call, [.thought("A cup?"), ReplyReaderTests.call(arguments)])
    for broken in ["call:look{n:", "call:look", "look{}", "call:{}", "call:look{n:3", "call:look{n 3}"] {
      let text = "<|tool_call>\(broken)<tool_call|>"
      ReplyReaderTests.expect(reader, text, [.text(text)])
    }
    let deep = "<|tool_call>call:look{n:" + String(repeating: "[", count: 5000)
    #expect(reader.parts(of: deep) == [.text(deep)])
  }

  @Test func thoughts() throws {
    let thinking = try ReplyReaderTests.reader("<think></think>", tools: false, beginsInThought: true)
    ReplyReaderTests.expect(
      thinking, "A cup.\n\nOr a < b?\n</think>\n\nIt is a cup.\n",
      [.thought("A cup.\n\nOr a < b?"), .text("It is a cup.\n")])
    ReplyReaderTests.expect(thinking, "Cut", [.thought("Cut")])
    ReplyReaderTests.expect(thinking, "</think>Yes", [.text("Yes")])
    let free = try ReplyReaderTests.reader("<think></think>", tools: false)
    ReplyReaderTests.expect(free, "<think>\nhm\n</think>\n\nYes", [.thought("hm"), .text("Yes")])
    ReplyReaderTests.expect(free, "a <thin", [.text("a <thin")])
    ReplyReaderTests.expect(ReplyReader(tools: nil), "<think>\nhm", [.text("<think>\nhm")])
  }

  @Test func json() throws {
    let reader = try ReplyReaderTests.reader("{{ messages }}")
    ReplyReaderTests.expect(reader, #"{"response": "Yes."}"#, [.text("Yes.")])
    ReplyReaderTests.expect(
      reader, #" { "response" : "a\n\"b\" \u00e9 \ud83d\ude00 \\"}"#, [.text("a\n\"b\" é 😀 \\")])
    ReplyReaderTests.expect(reader, #"{"response": "cut \"#, [.text("cut ")])
    ReplyReaderTests.expect(
      reader, #"{"tool_calls": [{"name": "look", "arguments": {"n": 1}}]}"#, [ReplyReaderTests.call(#"{"n":1}"#)])
    ReplyReaderTests.expect(reader, #"{"tool_calls": ["#, [.text(#"{"tool_calls": ["#)])
    // Its text is shown while it comes.
    var streamed = reader
    #expect(streamed.push(#"{"response": "On"#) == [.text("On")] && streamed.push("e") == [.text("e")])
  }
}
