import OccamCore

/// One answer: a line of the results file.
package struct EvalRecord: Sendable, Equatable {
  package var id = ""
  package var setting = ""
  package var method = ""
  package var question = ""
  package var image = ""
  package var type = QuestionType.existence
  package var objects: Int?
  package var budget: Int?
  package var target: Int?
  package var lambda1: Double?
  package var lambda2: Double?
  package var layer: Int?
  package var kvPolicy: String?
  package var answer = ""
  package var expected: [String] = []
  /// 0 or 1; for descriptions the word F1.
  package var score = 0.0
  /// Visual tokens of the encoder, behind stage I, and in the end; registers not counted.
  package var total = 0
  package var stage1 = 0
  package var kept = 0
  /// Rows each text layer ran in prefill, and how many of them were text.
  package var rowsPerLayer: [Int] = []
  package var textRows = 0
  package var kvBytes = 0
  package var kvBytesUnpruned = 0
  /// Cells of all layers together.
  package var kvCells = 0
  /// Milliseconds. Of encoding the projector and the selection are measured with each answer, the encoder once an image.
  package var imageDecode = 0.0
  package var encode = 0.0
  package var prefill = 0.0
  package var timeToFirstToken = 0.0
  package var generated = 0
  /// Effective number of patches that stage I's scores attend to.
  package var effectivePatches: Double?
  package var stage1Indices: [Int]?
  package var keptIndices: [Int]?
  /// Members of the question that the format does not know.
  package var extra: [JSONMember] = []

  package init() {}

  /// Rows of visual tokens and registers that a layer ran on average: the axis of equal compute.
  package var visualPerLayer: Double {
    guard !rowsPerLayer.isEmpty else { return 0 }
    return Double(rowsPerLayer.reduce(0, +)) / Double(rowsPerLayer.count) - Double(textRows)
  }

  package var json: JSONValue {
    func integers(_ values: [Int]) -> JSONValue { .array(values.map { .integer($0) }) }
    var members: [JSONMember] = [
      JSONMember("id", .string(id)), JSONMember("setting", .string(setting)), JSONMember("method", .string(method)),
      JSONMember("type", .string(type.rawValue)), JSONMember("image", .string(image)),
      JSONMember("question", .string(question)), JSONMember("answer", .string(answer)),
      JSONMember("expected", .array(expected.map { .string($0) })), JSONMember("score", .number(score)),
    ]
    func add(_ name: String, _ value: JSONValue?) { if let value { members.append(JSONMember(name, value)) } }
    add("objects", objects.map { .integer($0) })
    add("budget", budget.map { .integer($0) })
    add("target", target.map { .integer($0) })
    add("lambda1", lambda1.map { .number($0) })
    add("lambda2", lambda2.map { .number($0) })
    add("layer", layer.map { .integer($0) })
    add("kv_policy", kvPolicy.map { .string($0) })
    add("total", .integer(total))
    add("stage1", .integer(stage1))
    add("kept", .integer(kept))
    add("visual_per_layer", .number((visualPerLayer * 1e6).rounded() / 1e6))
    add("rows_per_layer", integers(rowsPerLayer))
    add("text_rows", .integer(textRows))
    add("kv_bytes", .integer(kvBytes))
    add("kv_bytes_unpruned", .integer(kvBytesUnpruned))
    add("kv_cells", .integer(kvCells))
    add("image_decode_ms", .number(imageDecode))
    add("encode_ms", .number(encode))
    add("prefill_ms", .number(prefill))
    add("ttft_ms", .number(timeToFirstToken))
    add("generated", .integer(generated))
    add("n_eff", effectivePatches.map { .number($0) })
    add("stage1_indices", stage1Indices.map(integers))
    add("kept_indices", keptIndices.map(integers))
    add("extra", extra.isEmpty ? nil : .object(extra))
    return .object(members)
  }

  /// Reads a line that `json` wrote.
  init(_ value: JSONValue, _ reader: LineReader) throws(EvalError) {
    func integer(_ name: String) throws(EvalError) -> Int {
      guard let number = value[name]?.intValue, number >= 0 else { throw reader.error("\"\(name)\": expected a count") }
      return number
    }
    func number(_ name: String) throws(EvalError) -> Double {
      guard let number = value[name]?.doubleValue else { throw reader.error("\"\(name)\": expected a number") }
      return number
    }
    id = try reader.text(value, "id")
    setting = try reader.text(value, "setting")
    method = try reader.text(value, "method")
    image = try reader.text(value, "image")
    question = try reader.text(value, "question")
    guard let type = QuestionType(rawValue: try reader.text(value, "type")) else {
      throw reader.error("\"type\": not a type of question")
    }
    self.type = type
    answer = value["answer"]?.stringValue ?? ""
    expected = value["expected"]?.arrayValue?.compactMap(\.stringValue) ?? []
    score = try number("score")
    objects = value["objects"]?.intValue
    budget = value["budget"]?.intValue
    target = value["target"]?.intValue
    lambda1 = value["lambda1"]?.doubleValue
    lambda2 = value["lambda2"]?.doubleValue
    layer = value["layer"]?.intValue
    kvPolicy = value["kv_policy"]?.stringValue
    total = try integer("total")
    stage1 = try integer("stage1")
    kept = try integer("kept")
    rowsPerLayer = value["rows_per_layer"]?.arrayValue?.compactMap(\.intValue) ?? []
    textRows = try integer("text_rows")
    kvBytes = try integer("kv_bytes")
    kvBytesUnpruned = try integer("kv_bytes_unpruned")
    kvCells = try integer("kv_cells")
    imageDecode = try number("image_decode_ms")
    encode = try number("encode_ms")
    prefill = try number("prefill_ms")
    timeToFirstToken = try number("ttft_ms")
    generated = try integer("generated")
    effectivePatches = value["n_eff"]?.doubleValue
    stage1Indices = value["stage1_indices"]?.arrayValue?.compactMap(\.intValue)
    keptIndices = value["kept_indices"]?.arrayValue?.compactMap(\.intValue)
    if case .object(let members)? = value["extra"] { extra = members }
  }
}
