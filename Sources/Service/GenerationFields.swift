import Occam
import OccamCore

/// What a request says of sampling, length and pruning, under the names of OpenAI's and llama-server's APIs.
struct GenerationFields {
  let fields: Fields
  /// Of requests without a seed; nil: a new one.
  var seed: UInt64?
  /// Tokens of a text, for `logit_bias`.
  var tokenize: (String) -> [Int32] = { _ in [] }

  /// - Parameters:
  ///   - defaults: where the request is silent.
  ///   - limits: names under which the number of tokens may stand, the first that is there counts.
  func options(
    _ defaults: GenerationOptions, limits: [String] = ["max_completion_tokens", "max_tokens", "n_predict"]
  ) throws(ServiceError) -> GenerationOptions {
    var options = defaults
    for name in limits.reversed() {
      if let limit = try fields.int(name, in: -2...Int(Int32.max)) { options.maxTokens = limit < 0 ? nil : limit }
    }
    if options.maxTokens == 0 { options.maxTokens = 1 }
    let anything = -1e6...1e6
    options.temperature = try fields.float("temperature", in: 0...1e6) ?? options.temperature
    options.topK = try fields.int("top_k", in: -1...Int(Int32.max)) ?? options.topK
    options.topP = try fields.float("top_p", in: 0...1) ?? options.topP
    options.minP = try fields.float("min_p", in: 0...1) ?? options.minP
    options.repeatPenalty = try fields.float("repeat_penalty", in: 0.01...100) ?? options.repeatPenalty
    options.repeatLastN = try fields.int("repeat_last_n", in: 0...Int(Int32.max)) ?? options.repeatLastN
    options.presencePenalty = try fields.float("presence_penalty", in: anything) ?? options.presencePenalty
    options.frequencyPenalty = try fields.float("frequency_penalty", in: anything) ?? options.frequencyPenalty
    options.ignoresEndOfText = try fields.bool("ignore_eos") ?? options.ignoresEndOfText
    options.stop = try fields.strings("stop") ?? options.stop
    let random = UInt64.random(in: 0...UInt64(Int64.max))
    if let seed = try fields.int("seed") {
      options.seed = seed == -1 ? random : UInt64(bitPattern: Int64(seed))
    } else {
      options.seed = seed ?? random
    }
    try readBias(&options)
    try readPruning(&options)
    try readFormat(&options)
    return options
  }

  /// `{"15": -100}`, or llama-server's `[[15, -100], [16, false], [" text", -100]]`. A text means each of its tokens.
  private func readBias(_ options: inout GenerationOptions) throws(ServiceError) {
    guard let bias = fields["logit_bias"] else { return }
    let wrong = fields.error("logit_bias", "an object of tokens, or an array of pairs")
    var entries: [(JSONValue, JSONValue)] = []
    switch bias {
    case .object(let members):
      entries = members.map { (Int($0.name).map { .integer($0) } ?? .string($0.name), $0.value) }
    case .array(let pairs):
      for pair in pairs {
        guard let pair = pair.arrayValue, pair.count == 2 else { throw wrong }
        entries.append((pair[0], pair[1]))
      }
    default: throw wrong
    }
    guard entries.count <= 4096 else { throw .invalid("'logit_bias' has more than 4096 entries") }
    for (token, value) in entries {
      var ids: [Int32] = []
      if let id = token.intValue.flatMap({ Int32(exactly: $0) }) {
        ids = [id]
      } else if let text = token.stringValue, text.utf8.count <= 256 {
        ids = tokenize(text)
      } else {
        throw wrong
      }
      guard let number = value == .bool(false) ? -.infinity : value.doubleValue else { throw wrong }
      for id in ids { options.logitBias[id] = Float(number) }
    }
  }

  /// `"occam": {"prune": "auto" | "off", "visual_budget": N, "max_visual_tokens": N}`.
  private func readPruning(_ options: inout GenerationOptions) throws(ServiceError) {
    guard let occam = try fields.object("occam") else { return }
    switch try occam.string("prune") {
    case nil: break
    case "auto": options.pruning.enabled = true
    case "off": options.pruning = .off
    case .some(let other): throw .invalid("'occam.prune' is \"\(other)\", not \"auto\" or \"off\"")
    }
    let tokens = 1...1 << 20
    options.pruning.visualBudget = try occam.int("visual_budget", in: tokens) ?? options.pruning.visualBudget
    options.pruning.maxVisualTokens = try occam.int("max_visual_tokens", in: tokens) ?? options.pruning.maxVisualTokens
  }

  /// `response_format`, `json_schema`, `grammar`: one of them at most.
  private func readFormat(_ options: inout GenerationOptions) throws(ServiceError) {
    var found: [(String, ResponseFormat)] = []
    if let grammar = try fields.string("grammar"), !grammar.isEmpty { found.append(("grammar", .grammar(grammar))) }
    if let schema = fields["json_schema"] { found.append(("json_schema", .schema(schema.text()))) }
    if let format = try fields.object("response_format"), let read = try GenerationFields.format(format) {
      found.append(("response_format", read))
    }
    guard found.count <= 1 else {
      throw .invalid("\(found.map { "'\($0.0)'" }.joined(separator: " and ")) exclude each other")
    }
    if let first = found.first { options.format = first.1 }
  }

  /// OpenAI's `{"type": "json_schema", "json_schema": {"schema": ...}}`, and the schema beside the type.
  static func format(_ format: Fields) throws(ServiceError) -> ResponseFormat? {
    switch try format.string("type") {
    case "text": return nil
    case "json_object":
      if let schema = format["schema"] { return .schema(schema.text()) }
      return .json
    case "json_schema":
      let schema = try format.object("json_schema")?["schema"] ?? format["schema"]
      return .schema(try format.require("json_schema.schema", schema).text())
    case let other:
      throw .invalid(
        "'\(format.path)type' is \(other.map { "\"\($0)\"" } ?? "missing"), not \"text\", \"json_object\" or "
          + "\"json_schema\"")
    }
  }
}
