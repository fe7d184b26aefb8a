import OccamCore
import OccamGGUF
import OccamTestSupport
import Testing

/// Models split over several files.
@Suite struct SplitFileTests {
  /// Writes a model in parts; the first has metadata and the tensors of the first list.
  struct Model {
    var count = 2
    var tensors: [[String]] = [["a", "b"], ["c"]]
    var total: Int?
    /// Changes what part `index` says of itself.
    var change: (Int, inout GGUFWriter) -> Void = { _, _ in }

    static func name(_ number: Int, _ count: Int = 2) -> String { "model-0000\(number)-of-0000\(count).gguf" }

    func write(to folder: String, leavingOut missing: Int? = nil) throws {
      for index in 0..<count where index + 1 != missing {
        var writer = GGUFWriter()
        if index == 0 { writer.set("general.architecture", "llama") }
        writer.set("split.no", .uint16(UInt16(index)))
        writer.set("split.count", .uint16(UInt16(count)))
        writer.set("split.tensors.count", .int32(Int32(total ?? tensors.joined().count)))
        change(index, &writer)
        for name in tensors[index] {
          try writer.add(
            tensor: name, dimensions: [4], type: .i8, data: [UInt8](repeating: name.utf8.first ?? 0, count: 4))
        }
        try Files.write(try writer.serialized(), to: folder + "/" + Model.name(index + 1, count))
      }
    }
  }

  static func error(_ path: String, limits: GGUFLimits = .default) -> GGUFError? {
    do {
      _ = try GGUFFile(path: path, limits: limits)
      return nil
    } catch {
      return error
    }
  }

  @Test(arguments: [1, 2]) func anyPartOpensTheModel(number: Int) throws {
    let folder = TemporaryFolder.make()
    try Model().write(to: folder)
    let path = folder + "/" + Model.name(number)
    let file = try GGUFFile(path: path)
    #expect(file.tensors.map(\.name) == ["a", "b", "c"] && file.tensors.map(\.part) == [0, 0, 1])
    for tensor in file.tensors {
      #expect(file.bytes(tensor).elementsEqual(repeatElement(tensor.name.utf8.first ?? 0, count: 4)))
      file.release(tensor)
    }
    #expect(file.metadata.keys == ["general.architecture"] && file.path == path)
    #expect(!inspectionLines(of: file).isEmpty)
    // What is written from it is a model in one file.
    var writer = GGUFWriter()
    writer.copyMetadata(of: file)
    #expect(try GGUFFile(bytes: writer.serialized()).metadata.keys == ["general.architecture"])
  }

  @Test func aFirstPartWithoutTensors() throws {
    let folder = TemporaryFolder.make()
    try Model(count: 3, tensors: [[], ["a"], ["b"]]).write(to: folder)
    let file = try GGUFFile(path: folder + "/" + Model.name(3, 3))
    #expect(file.tensors.map(\.part) == [1, 2] && file.tensor("b").map { file.bytes($0)[0] } == UInt8(ascii: "b"))
  }

  @Test(arguments: [(1, 2), (2, 1)]) func aMissingPartIsNamed(missing: Int, opened: Int) throws {
    let folder = TemporaryFolder.make()
    try Model().write(to: folder, leavingOut: missing)
    let error = SplitFileTests.error(folder + "/" + Model.name(opened))
    #expect(error?.subject == folder + "/" + Model.name(opened))
    let description = error?.description ?? ""
    #expect(description.contains("a part of the model is missing") && description.contains(Model.name(missing)))
  }

  @Test func aPartMustBeNamedLikeOne() throws {
    let folder = TemporaryFolder.make()
    try Model().write(to: folder)
    for name in ["other.gguf", "model-00002-of-00002.gguf.gguf", "model-00003-of-00002.gguf"] {
      try Files.write(try Files.read(folder + "/" + Model.name(1)), to: folder + "/" + name)
      #expect(SplitFileTests.error(folder + "/" + name)?.problem == .splitName(number: 1, count: 2))
    }
    let bytes = try Files.read(folder + "/" + Model.name(2))
    #expect(throws: GGUFError("memory", .file, .splitPart(number: 2, count: 2))) { try GGUFFile(bytes: bytes) }
  }

  @Test func partsMustAgree() throws {
    func problem(_ model: Model) throws -> GGUFError? {
      let folder = TemporaryFolder.make()
      try model.write(to: folder)
      return SplitFileTests.error(folder + "/" + Model.name(1))
    }
    let cases: [(String, GGUFValue, GGUFError.Problem)] = [
      ("split.count", .uint16(3), .splitMismatch(expected: 2, found: 3)),
      ("split.count", .uint16(1), .splitMismatch(expected: 2, found: 1)),
      ("split.no", .uint16(0), .splitMismatch(expected: 1, found: 0)),
      ("split.no", .int32(-1), .outOfRange("-1")), ("split.no", .uint16(2), .outOfRange("2")),
      ("split.no", .bool(true), .wrongType(expected: "integer", found: "bool")),
      ("split.tensors.count", .int32(4), .splitMismatch(expected: 3, found: 4)),
    ]
    for (key, value, expected) in cases {
      let error = try problem(Model(change: { if $0 == 1 { $1.set(key, value) } }))
      #expect(error?.problem == expected && error?.place == .key(key), "\(key): \(String(describing: error))")
      #expect(error?.subject.hasSuffix(Model.name(2)) == true)
    }
    #expect(try problem(Model(total: 2))?.problem == .splitMismatch(expected: 3, found: 2))
    #expect(try problem(Model(tensors: [["a"], ["a"]]))?.problem == .duplicate)
    #expect(try problem(Model()) == nil)
  }

  @Test func limitsCountAllParts() throws {
    let folder = TemporaryFolder.make()
    try Model().write(to: folder)
    var limits = GGUFLimits()
    (limits.tensors, limits.parts) = (3, 2)
    #expect(SplitFileTests.error(folder + "/" + Model.name(1), limits: limits) == nil)
    limits.tensors = 2
    #expect(
      SplitFileTests.error(folder + "/" + Model.name(1), limits: limits)?.problem
        == .overLimit(what: "tensor count", value: 3, limit: 2))
    (limits.tensors, limits.parts) = (3, 1)
    #expect(
      SplitFileTests.error(folder + "/" + Model.name(1), limits: limits)?.problem
        == .overLimit(what: "part count", value: 2, limit: 1))
  }
}
