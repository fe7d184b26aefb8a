import Glibc
import OccamCore
import OccamPruning
import Testing

@Suite struct SidecarTests {
  @Test func writesAndReadsBack() throws {
    var sidecar = OptionsTests.calibrated
    sidecar.calibration = "50 images, \"questions\".txt, seed 1\n"
    let path = "/tmp/occam-sidecar-\(UInt64.random(in: 0...UInt64.max)).gguf"
    #expect(try Sidecar.beside(model: path) == nil)
    let file = Sidecar.path(forModel: path)
    defer { unlink(file) }
    #expect(file == path + ".occam.json")
    try sidecar.write(to: file)
    #expect(try Sidecar.beside(model: path) == sidecar)
    try Files.write([], to: file)
    #expect(throws: SidecarError.self) { try Sidecar(path: file) }
  }

  @Test func optionalFieldsMayBeMissing() throws {
    let text = """
      {"version": 1, "model": {"architecture": "clip", "layers": 2, "hidden_size": 8, "tensor_hash": "ab"},
       "register_neurons": [], "later": [1, 2]}
      """
    let sidecar = try Sidecar(parsing: Array(text.utf8), path: "x")
    #expect(sidecar.reference == .mean && sidecar.curve == nil && sidecar.lambda1 == nil)
  }

  /// The calibrated sidecar's JSON with one top-level or model member replaced (nil: removed).
  static func altered(_ name: String, _ value: JSONValue?) -> [UInt8] {
    func replace(_ members: [JSONMember], _ name: String) -> [JSONMember] {
      members.compactMap { member in
        member.name != name ? member : value.map { JSONMember(name, $0) }
      }
    }
    guard case .object(let members) = OptionsTests.calibrated.json else { return [] }
    let parts = name.split(separator: ".").map(String.init)
    if parts.count == 2, case .object(let inner)? = OptionsTests.calibrated.json[parts[0]] {
      let changed = JSONValue.object(replace(inner, parts[1]))
      return Array(
        JSONValue.object(members.map { $0.name == parts[0] ? JSONMember(parts[0], changed) : $0 }).text().utf8)
    }
    return Array(JSONValue.object(replace(members, name)).text().utf8)
  }

  @Test(
    arguments: [
      ("version", nil, "version"), ("version", 2, "version"), ("version", "1", "version"),
      ("model", nil, "model"), ("model", 3, "model.architecture"), ("model.layers", 0, "model.layers"),
      ("model.layers", 5000, "model.layers"), ("model.layers", 2.5, "model.layers"),
      ("model.hidden_size", nil, "model.hidden_size"), ("model.tensor_hash", 7, "model.tensor_hash"),
      ("lambda1", -1, "lambda1"), ("lambda2", 1e300, "lambda2"), ("lambda2", nil as JSONValue?, ""),
      ("text_layer", 0, "text_layer"), ("calibration", false, "calibration"),
      ("register_neurons", nil, "register_neurons"), ("register_neurons", "a", "register_neurons"),
      ("register_neurons", [["layer": 24, "channel": 0]], "register_neurons[0].layer"),
      ("register_neurons", [["layer": 2, "channel": 0], ["layer": 2]], "register_neurons[1].channel"),
      ("curve", [["lambda2": 0.5]], "curve[0].kept"), ("curve", 5, "curve"),
    ] as [(String, JSONValue?, String)])
  func wrongFieldsAreNamed(name: String, value: JSONValue?, expected: String) {
    do {
      _ = try Sidecar(parsing: SidecarTests.altered(name, value), path: "m.gguf.occam.json")
      #expect(expected.isEmpty)
    } catch {
      guard case .field("m.gguf.occam.json", expected, _) = error else {
        Issue.record("\(error)")
        return
      }
      #expect(error.description.hasPrefix("'m.gguf.occam.json': field \(expected): expected "))
    }
  }

  @Test func syntaxErrorsNameFileAndPlace() {
    do {
      _ = try Sidecar(parsing: Array("{\n  \"version\": }".utf8), path: "a.json")
      Issue.record("accepted")
    } catch {
      #expect(error.description == "'a.json' is not a sidecar: line 2, column 14: expected a value")
    }
  }

  @Test func listsAndFilesHaveLimits() throws {
    let many = [JSONValue](repeating: ["layer": 0, "channel": 0], count: Sidecar.listLimit + 1)
    let bytes = SidecarTests.altered("register_neurons", .array(many))
    #expect(throws: SidecarError.self) { try Sidecar(parsing: bytes, path: "a") }
    let path = "/tmp/occam-sidecar-\(UInt64.random(in: 0...UInt64.max)).occam.json"
    defer { unlink(path) }
    try Files.write([UInt8](repeating: 32, count: Sidecar.sizeLimit + 1), to: path)
    do {
      _ = try Sidecar(path: path)
      Issue.record("accepted")
    } catch {
      guard case .file(let cause) = error else {
        Issue.record("\(error)")
        return
      }
      #expect(cause.operation == .read)
    }
  }

  @Test func anotherModelsCalibrationIsRefused() throws {
    let sidecar = OptionsTests.calibrated
    try sidecar.check(OptionsTests.model, path: "a")
    let other = ModelFingerprint(architecture: "clip", layers: 24, hiddenSize: 768, tensorHash: "00")
    #expect(throws: SidecarError.mismatch(path: "a", name: "model.hidden_size", file: "1024", model: "768")) {
      try sidecar.check(other, path: "a")
    }
  }

  @Test func tensorHashDependsOnEveryNameAndTheirOrder() {
    #expect(ModelFingerprint.hash([]) == "cbf29ce484222325")
    #expect(ModelFingerprint.hash(["ab", "c"]) != ModelFingerprint.hash(["a", "bc"]))
    #expect(ModelFingerprint.hash(["a", "b"]) != ModelFingerprint.hash(["b", "a"]))
    #expect(ModelFingerprint.hash(["a"]).utf8.count == 16)
  }
}
