import Glibc
import OccamCore
import OccamGGUF
import Testing

@Suite struct GGUFWriterTests {
  private func problem(_ body: () throws(GGUFError) -> Void) -> GGUFError.Problem? {
    do {
      try body()
      return nil
    } catch {
      return error.problem
    }
  }

  private func temporary(_ name: String) -> String { "/tmp/occam-gguf-\(getpid())-\(name)" }

  @Test func whatIsWrittenIsRead() throws {
    let file = try HandcraftedTests.everyKind.parsed()
    var writer = GGUFWriter()
    writer.copyMetadata(of: file)
    let copy = try GGUFFile(bytes: writer.serialized())
    #expect(copy.metadata.keys == file.metadata.keys)
    for key in file.metadata.keys { #expect(copy.metadata[key] == file.metadata[key], "\(key)") }
    #expect(copy.version == 3)
  }

  @Test func integersTakeTheTypeTheyFit() throws {
    var writer = GGUFWriter()
    writer.set("small", 7)
    writer.set("negative", -7)
    writer.set("large", 1 << 40)
    let file = try GGUFFile(bytes: writer.serialized())
    #expect(file.metadata["small"] == .uint32(7))
    #expect(file.metadata["negative"] == .int64(-7))
    #expect(file.metadata["large"] == .int64(1 << 40))
  }

  @Test func settingAgainReplaces() throws {
    var writer = GGUFWriter()
    writer.set("a", 1)
    writer.set("b", 2)
    writer.set("a", "one")
    let file = try GGUFFile(bytes: writer.serialized())
    #expect(file.metadata.keys == ["a", "b"])
    #expect(try file.string("a") == "one")
  }

  @Test(arguments: [1, 32, 64, 4096]) func alignments(_ alignment: Int) throws {
    var writer = GGUFWriter(alignment: alignment)
    try writer.add(tensor: "a", dimensions: [5], type: .i8, data: [1, 2, 3, 4, 5])
    try writer.add(tensor: "b", dimensions: [], type: .f32, data: [1, 2, 3, 4])
    let file = try GGUFFile(bytes: writer.serialized())
    #expect(file.alignment == alignment)
    #expect((file.metadata["general.alignment"] == nil) == (alignment == 32))
    #expect(Array(file.bytes(try file.requireTensor("b"))) == [1, 2, 3, 4])
    #expect(file.tensors.allSatisfy { $0.byteRange.lowerBound % alignment == 0 })
    var copy = GGUFWriter()
    copy.copyMetadata(of: file)
    #expect(copy.alignment == alignment)
  }

  @Test func wrongRequestsAreRefused() {
    var writer = GGUFWriter()
    #expect(throws: Never.self) { try writer.add(tensor: "t", dimensions: [1], type: .i8, data: [0]) }
    let cases: [(String, [Int], GGMLType, Int, GGUFError.Problem)] = [
      ("t", [1], .i8, 1, .duplicate),
      ("", [1], .i8, 1, .emptyName),
      (String(repeating: "n", count: 64), [1], .i8, 1, .overLimit(what: "name length", value: 64, limit: 63)),
      ("d", [1, 1, 1, 1, 1], .i8, 1, .overLimit(what: "number of dimensions", value: 5, limit: 4)),
      ("d", [4, 0], .i8, 0, .badDimension(index: 1, value: 0)),
      ("d", [33], .q4_0, 18, .partialBlock(row: 33, block: 32, type: "q4_0")),
      ("d", [.max, 2], .f32, 8, .sizeOverflow),
      ("d", [32, 2], .q4_0, 35, .wrongByteCount(expected: 36, found: 35)),
    ]
    for (name, dimensions, type, count, expected) in cases {
      let found = problem { () throws(GGUFError) in
        try writer.add(tensor: name, dimensions: dimensions, type: type, byteCount: count) { _ throws(GGUFError) in }
      }
      #expect(found == expected)
    }
    for alignment in [0, 3, -8, 1 << 20] {
      let found = problem { () throws(GGUFError) in _ = try GGUFWriter(alignment: alignment).serialized() }
      #expect(found == .badAlignment(UInt64(clamping: alignment)))
    }
    var unnamed = GGUFWriter()
    unnamed.set("", 1)
    #expect(problem { () throws(GGUFError) in _ = try unnamed.serialized() } == .emptyName)
    var mistyped = GGUFWriter()
    mistyped.set("general.alignment", "32")
    #expect(
      problem { () throws(GGUFError) in _ = try mistyped.serialized() }
        == .wrongType(expected: "uint32", found: "string"))
  }

  @Test func streamedTensor() throws {
    var writer = GGUFWriter()
    let rows = 700
    try writer.add(tensor: "big", dimensions: [1024, rows], type: .f32, byteCount: 4096 * rows) {
      sink throws(GGUFError) in
      for row in 0..<rows { try sink.write([UInt8](repeating: UInt8(truncatingIfNeeded: row), count: 4096)) }
    }
    try writer.add(tensor: "huge row", dimensions: [3 << 20], type: .i8, data: [UInt8](repeating: 9, count: 3 << 20))
    let path = temporary("streamed")
    defer { unlink(path) }
    try writer.write(to: path)
    let file = try GGUFFile(path: path)
    #expect(try Files.read(path) == writer.serialized())
    let big = file.bytes(try file.requireTensor("big"))
    #expect(
      (0..<rows).allSatisfy {
        big[$0 * 4096] == UInt8(truncatingIfNeeded: $0) && big[$0 * 4096 + 4095] == big[$0 * 4096]
      })
    let huge = try file.requireTensor("huge row")
    file.release(huge)
    #expect(file.bytes(huge).allSatisfy { $0 == 9 })
  }

  @Test func aFailedWriteLeavesNothing() throws {
    let path = temporary("short")
    defer { unlink(path) }
    var writer = GGUFWriter()
    try writer.add(tensor: "t", dimensions: [8], type: .i8, byteCount: 8) { sink throws(GGUFError) in
      try sink.write([1, 2, 3])
    }
    #expect(problem { () throws(GGUFError) in try writer.write(to: path) } == .wrongByteCount(expected: 8, found: 3))
    #expect(!Files.exists(path))
    #expect(Files.list("/tmp").allSatisfy { !$0.hasPrefix("occam-gguf-\(getpid())-short") })
    let nowhere = GGUFError(
      "/nonexistent/x.gguf", .file, .inaccessible(FileError(.write, "/nonexistent/x.gguf", errno: ENOENT)))
    #expect(throws: nowhere) { try GGUFWriter().write(to: "/nonexistent/x.gguf") }
  }

  @Test func typesAreNamedAsInGGML() {
    #expect(GGMLType(name: "Q4_K") == .q4_K)
    #expect(GGMLType(name: "bf16") == .bf16)
    #expect(GGMLType(name: "q9_9") == nil)
    #expect(Set(GGMLType.allCases.map(\.name)).count == GGMLType.allCases.count)
    #expect(GGMLType.q6_K.byteCount(dimensions: [512, 3]) == 1260)
    #expect(GGMLType.q6_K.byteCount(dimensions: [100]) == nil)
    #expect(GGMLType.f32.byteCount(dimensions: []) == 4)
    #expect(GGMLType.f32.byteCount(dimensions: [.max]) == nil)
  }
}
