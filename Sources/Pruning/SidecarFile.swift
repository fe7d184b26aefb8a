import OccamCore

extension Sidecar {
  /// Bytes a sidecar may have, and neurons and curve points.
  package static let sizeLimit = 4 << 20
  package static let listLimit = 1 << 16

  package var json: JSONValue {
    var members = [
      JSONMember("version", .integer(Sidecar.version)),
      JSONMember(
        "model",
        [
          "architecture": .string(model.architecture), "layers": .integer(model.layers),
          "hidden_size": .integer(model.hiddenSize), "tensor_hash": .string(model.tensorHash),
        ]),
      JSONMember("calibration", .string(calibration)),
      JSONMember("reference", .string(reference.rawValue)),
      JSONMember(
        "register_neurons",
        .array(plan.neurons.map { ["layer": .integer($0.layer), "channel": .integer($0.channel)] })),
    ]
    if score != .attention { members.append(JSONMember("stage1_score", .string(score.rawValue))) }
    if let lambda1 { members.append(JSONMember("lambda1", .float(lambda1))) }
    if let lambda2 { members.append(JSONMember("lambda2", .float(lambda2))) }
    if let textLayer { members.append(JSONMember("text_layer", .integer(textLayer))) }
    if let curve {
      let points = curve.points.map { ["lambda2": .float($0.lambda), "kept": .number($0.kept)] as JSONValue }
      members.append(JSONMember("curve", .array(points)))
    }
    return .object(members)
  }

  package func write(to path: String) throws(SidecarError) {
    do {
      try Files.write(Array((json.text(indented: true) + "\n").utf8), to: path)
    } catch {
      throw .file(error)
    }
  }

  package init(path: String) throws(SidecarError) {
    let bytes: [UInt8]
    do {
      bytes = try Files.read(path, limit: Sidecar.sizeLimit)
    } catch {
      throw .file(error)
    }
    try self.init(parsing: bytes, path: path)
  }

  /// The sidecar beside a model file; nil when there is none.
  package static func beside(model: String) throws(SidecarError) -> Sidecar? {
    let path = path(forModel: model)
    return Files.exists(path) ? try Sidecar(path: path) : nil
  }

  /// - Parameter path: for messages only. Unknown fields are ignored, so that later versions can add some.
  package init(parsing bytes: [UInt8], path: String) throws(SidecarError) {
    let root: JSONValue
    do {
      root = try JSONValue(parsing: bytes)
    } catch {
      throw .syntax(path: path, error)
    }
    let reader = FieldReader(path: path)
    let version = try reader.integer(root, "version", 1...Int.max)
    guard version == Sidecar.version else {
      throw .field(path: path, name: "version", expected: "\(Sidecar.version), found \(version)")
    }
    guard let modelValue = root["model"] else { throw reader.wrong("model", "an object") }
    model = ModelFingerprint(
      architecture: try reader.string(modelValue, "architecture", in: "model."),
      layers: try reader.integer(modelValue, "layers", 1...RegisterPlan.layerLimit, in: "model."),
      hiddenSize: try reader.integer(modelValue, "hidden_size", 1...(1 << 24), in: "model."),
      tensorHash: try reader.string(modelValue, "tensor_hash", in: "model."))
    calibration = root["calibration"] == nil ? "" : try reader.string(root, "calibration")
    lambda1 = root["lambda1"] == nil ? nil : try reader.lambda(root, "lambda1")
    lambda2 = root["lambda2"] == nil ? nil : try reader.lambda(root, "lambda2")
    textLayer = root["text_layer"] == nil ? nil : try reader.integer(root, "text_layer", 1...(1 << 16))
    var neurons: [RegisterPlan.Neuron] = []
    for (index, value) in try reader.list(root, "register_neurons").enumerated() {
      let prefix = "register_neurons[\(index)]."
      neurons.append(
        .init(
          layer: try reader.integer(value, "layer", 0...(model.layers - 1), in: prefix),
          channel: try reader.integer(value, "channel", 0...(1 << 24), in: prefix)))
    }
    plan = RegisterPlan(neurons)
    if root["reference"] == nil {
      reference = Sidecar.usualReference(plan)
    } else {
      guard let known = ReferenceKind(rawValue: try reader.string(root, "reference")) else {
        throw reader.wrong("reference", ReferenceKind.allCases.map(\.rawValue).joined(separator: " or "))
      }
      reference = known
    }
    if root["stage1_score"] == nil {
      score = .attention
    } else {
      guard let known = StageOneScore(rawValue: try reader.string(root, "stage1_score")) else {
        throw reader.wrong("stage1_score", StageOneScore.allCases.map(\.rawValue).joined(separator: " or "))
      }
      score = known
    }
    if root["curve"] != nil {
      var points: [BudgetCurve.Point] = []
      for (index, value) in try reader.list(root, "curve").enumerated() {
        let prefix = "curve[\(index)]."
        let kept = try reader.number(value, "kept", in: prefix)
        points.append(.init(lambda: try reader.lambda(value, "lambda2", in: prefix), kept: kept))
      }
      curve = BudgetCurve(points)
    }
  }

  /// Refuses a calibration of another model.
  package func check(_ other: ModelFingerprint, path: String) throws(SidecarError) {
    let fields = [
      ("architecture", model.architecture, other.architecture), ("layers", "\(model.layers)", "\(other.layers)"),
      ("hidden_size", "\(model.hiddenSize)", "\(other.hiddenSize)"),
      ("tensor_hash", model.tensorHash, other.tensorHash),
    ]
    for (name, ours, theirs) in fields where ours != theirs {
      throw .mismatch(path: path, name: "model.\(name)", file: ours, model: theirs)
    }
  }
}

/// Typed access to the fields of one file.
private struct FieldReader {
  let path: String

  func wrong(_ name: String, _ expected: String) -> SidecarError {
    .field(path: path, name: name, expected: expected)
  }

  func string(_ object: JSONValue, _ name: String, in prefix: String = "") throws(SidecarError) -> String {
    guard let value = object[name]?.stringValue else { throw wrong(prefix + name, "a string") }
    return value
  }

  func integer(
    _ object: JSONValue, _ name: String, _ range: ClosedRange<Int>, in prefix: String = ""
  ) throws(SidecarError) -> Int {
    guard let value = object[name]?.intValue, range.contains(value) else {
      let upper = range.upperBound == Int.max ? "up" : "to \(range.upperBound)"
      throw wrong(prefix + name, "a whole number from \(range.lowerBound) \(upper)")
    }
    return value
  }

  /// A finite number of 0 or more.
  func number(_ object: JSONValue, _ name: String, in prefix: String = "") throws(SidecarError) -> Double {
    guard let value = object[name]?.doubleValue, value >= 0 else { throw wrong(prefix + name, "a number of 0 or more") }
    return value
  }

  func lambda(_ object: JSONValue, _ name: String, in prefix: String = "") throws(SidecarError) -> Float {
    let value = Float(try number(object, name, in: prefix))
    guard value.isFinite else { throw wrong(prefix + name, "a number of 0 or more") }
    return value
  }

  func list(_ object: JSONValue, _ name: String) throws(SidecarError) -> [JSONValue] {
    guard let values = object[name]?.arrayValue, values.count <= Sidecar.listLimit else {
      throw wrong(name, "an array of at most \(Sidecar.listLimit) elements")
    }
    return values
  }
}
