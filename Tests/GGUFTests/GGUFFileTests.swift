import Glibc
import OccamCore
import OccamGGUF
import Testing

@Suite struct GGUFFileTests {
  /// A file with a bit of everything, for cutting and flipping.
  static func sample() throws -> [UInt8] {
    var writer = GGUFWriter()
    writer.set("general.architecture", "llama")
    writer.set("count", 42)
    writer.set("scale", Float(0.5))
    writer.set("flag", true)
    writer.set("names", ["a", "", "Füße"])
    writer.set("numbers", [Int32(-1), 2, 3])
    writer.set("bytes", .array(.uint8([1, 2, 3])))
    try writer.add(tensor: "weight", dimensions: [4, 2], type: .f32, data: (0..<32).map { UInt8($0) })
    try writer.add(tensor: "blocks", dimensions: [32, 1], type: .q8_0, data: [UInt8](repeating: 7, count: 34))
    return try writer.serialized()
  }

  @Test func valuesOfEveryKind() throws {
    let file = try HandcraftedTests.everyKind.parsed()
    #expect(file.metadata.keys.count == 26)
    #expect(file.metadata["scalar.uint8"] == .uint8(1))
    #expect(file.metadata["scalar.int64"] == .int64(0x0101_0101_0101_0101))
    #expect(file.metadata["scalar.float32"] == .float32(Float(bitPattern: 0x0101_0101)))
    #expect(file.metadata["scalar.bool"] == .bool(true))
    #expect(file.metadata["array.int16"] == .array(.int16([0x0202, 0x0202, 0x0202])))
    #expect(file.metadata["array.bool"] == .array(.bool([true, true, true])))
    #expect(file.metadata["scalar.bytes"] == .malformedString([0xC3, 0x28]))
    #expect(try file.string("scalar.bytes") == "\u{FFFD}(")
    #expect(try file.string("scalar.string") == "Füße")
    #expect(try file.byteStrings("array.string").map { Array($0.bytes(1)) } == [0xFF])
    #expect(try file.strings("array.empty") == [])
    for kind in ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"] {
      #expect(try file.integer("scalar.\(kind)") != nil)
      #expect(try file.integers("array.\(kind)")?.count == 3)
    }
    #expect(try file.floats("array.float64")?.count == 3)
  }

  @Test func typedGettersRefuseOtherTypes() throws {
    let file = try GGUFFile(bytes: GGUFFileTests.sample(), subject: "sample")
    #expect(try file.integer("count") == 42)
    #expect(try file.integer("absent") == nil)
    #expect(try file.integers("bytes") == [1, 2, 3])
    func problem(_ body: () throws(GGUFError) -> Void) -> GGUFError.Problem? {
      do {
        try body()
        return nil
      } catch {
        return error.problem
      }
    }
    #expect(
      problem { () throws(GGUFError) in _ = try file.integer("scale") }
        == .wrongType(expected: "integer", found: "float32"))
    #expect(
      problem { () throws(GGUFError) in _ = try file.float("count") } == .wrongType(expected: "float", found: "uint32"))
    #expect(
      problem { () throws(GGUFError) in _ = try file.strings("numbers") }
        == .wrongType(expected: "array of string", found: "array of int32"))
    #expect(
      problem { () throws(GGUFError) in _ = try file.bool("names") }
        == .wrongType(expected: "bool", found: "array of string"))
    #expect(problem { () throws(GGUFError) in _ = try file.requireFloats("absent") } == .missing)
    #expect(problem { () throws(GGUFError) in _ = try file.requireTensor("absent") } == .missing)
    var writer = GGUFWriter()
    writer.set("large", .uint64(.max))
    let large = try GGUFFile(bytes: writer.serialized())
    #expect(problem { () throws(GGUFError) in _ = try large.integer("large") } == .outOfRange("\(UInt64.max)"))
  }

  @Test func tensorsAreFoundWithTheirBytes() throws {
    let file = try GGUFFile(bytes: GGUFFileTests.sample(), subject: "sample")
    let weight = try file.requireTensor("weight")
    #expect(weight.dimensions == [4, 2])
    #expect(weight.type == .f32)
    #expect(weight.elementCount == 8)
    #expect(weight.byteRange.lowerBound % file.alignment == 0)
    #expect(Array(file.bytes(weight)) == (0..<32).map { UInt8($0) })
    #expect(file.tensors.map(\.name) == ["weight", "blocks"])
    #expect(file.tensor("absent") == nil)
    #expect(Int(bitPattern: file.bytes(weight).baseAddress) % 32 == 0)
  }

  @Test func truncationAtEveryOffset() throws {
    let bytes = try GGUFFileTests.sample()
    let end = try GGUFFile(bytes: bytes).tensors[1].byteRange.upperBound
    for count in 0..<end {
      #expect(throws: GGUFError.self) { try GGUFFile(bytes: Array(bytes[..<count])) }
    }
    // Only the padding behind the last tensor may be missing.
    #expect(throws: Never.self) { try GGUFFile(bytes: Array(bytes[..<end])) }
  }

  /// Damaged files are read or refused; either way nothing traps and all ranges stay inside.
  @Test func flippedBits() throws {
    let bytes = try GGUFFileTests.sample()
    var generator = SeededGenerator(seed: 2024)
    var refused = 0
    for _ in 0..<20_000 {
      var damaged = bytes
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        damaged[Int.random(in: 0..<damaged.count, using: &generator)] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
      }
      do {
        let file = try GGUFFile(bytes: damaged)
        for tensor in file.tensors { #expect(file.bytes(tensor).count == tensor.byteRange.count) }
        #expect(!inspectionLines(of: file).isEmpty)
      } catch {
        #expect(!error.description.isEmpty)
        refused += 1
      }
    }
    #expect(refused > 1_000 && refused < 20_000)
  }

  @Test func limitsAreCrossed() throws {
    let bytes = try GGUFFileTests.sample()
    func problem(_ change: (inout GGUFLimits) -> Void) -> GGUFError.Problem? {
      var limits = GGUFLimits()
      change(&limits)
      do {
        _ = try GGUFFile(bytes: bytes, limits: limits)
        return nil
      } catch {
        return error.problem
      }
    }
    #expect(problem { $0.entries = 6 } == .overLimit(what: "metadata count", value: 7, limit: 6))
    #expect(problem { $0.tensors = 1 } == .overLimit(what: "tensor count", value: 2, limit: 1))
    #expect(problem { $0.keyBytes = 19 } == .overLimit(what: "key length", value: 20, limit: 19))
    #expect(problem { $0.nameBytes = 5 } == .overLimit(what: "name length", value: 6, limit: 5))
    #expect(problem { $0.stringBytes = 4 } == .overLimit(what: "string length", value: 5, limit: 4))
    #expect(problem { $0.arrayElements = 2 } == .overLimit(what: "array length", value: 3, limit: 2))
    #expect(problem { $0.entries = 7 } == nil)
    var aligned = RawGGUF(keys: 1)
    aligned.alignment(1 << 17)
    #expect(aligned.failure()?.problem == .badAlignment(1 << 17))
    var zero = RawGGUF(keys: 1)
    zero.alignment(0)
    #expect(zero.failure()?.problem == .badAlignment(0))
  }

  @Test func countsThatTheFileCannotHold() {
    for (kind, needed) in [(UInt32(6), UInt64(4 << 20)), (8, 8 << 20), (10, 8 << 20), (0, 1 << 20)] {
      var raw = RawGGUF(keys: 1)
      raw.key("array", type: 9)
      raw.number(kind)
      raw.number(UInt64(1 << 20))
      #expect(raw.failure() == GGUFError("raw", .key("array"), .truncated(offset: raw.bytes.count, needed: needed)))
    }
    var nested = RawGGUF(keys: 1)
    nested.key("array", type: 9)
    nested.number(UInt32(9))
    nested.number(UInt64(1))
    #expect(nested.failure()?.problem == .nestedArray)
  }

  @Test func otherByteOrderAndNames() {
    #expect(RawGGUF(version: UInt32(3).byteSwapped).failure()?.problem == .bigEndian)
    var raw = RawGGUF(keys: 1)
    raw.number(UInt64(1))
    raw.bytes += [0xFF]
    #expect(raw.failure() == GGUFError("raw", .entry(index: 0), .notUTF8))
    var second = RawGGUF(version: 2)
    second.pad()
    #expect(throws: Never.self) { try second.parsed() }
  }

  @Test func missingAndStrangeFiles() {
    func problem(_ path: String) -> GGUFError? {
      do {
        _ = try GGUFFile(path: path)
        return nil
      } catch {
        return error
      }
    }
    let missing = problem("/nonexistent/model.gguf")
    #expect(
      missing?.problem
        == .inaccessible(FileError(.open, "/nonexistent/model.gguf", reason: "No such file or directory")))
    #expect(missing?.description == "'/nonexistent/model.gguf': cannot open: No such file or directory")
    #expect(problem("/dev/null")?.description == "'/dev/null': cannot open: not a regular file")
  }

  @Test func inspectionIsSafeToPrint() throws {
    var writer = GGUFWriter()
    writer.set("evil\u{1B}[2J", "line\nbreak\u{202E}")
    writer.set("long", String(repeating: "x", count: 1000))
    writer.set("tokens", (0..<100).map { "t\($0)" })
    try writer.add(tensor: "w", dimensions: [256, 3], type: .q4_K, data: [UInt8](repeating: 0, count: 432))
    let lines = inspectionLines(of: try GGUFFile(bytes: writer.serialized(), subject: "sample"))
    let text = lines.joined(separator: "\n")
    #expect(text.unicodeScalars.allSatisfy { $0 == "\n" || !$0.properties.isPatternWhitespace || $0 == " " })
    #expect(!text.unicodeScalars.contains("\u{1B}") && !text.unicodeScalars.contains("\u{202E}"))
    #expect(lines.contains("  evil\\u{1b}[2J (string) = \"line\\nbreak\\u{202e}\""))
    #expect(text.contains("[\"t0\", \"t1\", \"t2\", \"t3\", \"t4\", \"t5\", ... 100 elements]"))
    #expect(text.contains("1000 bytes"))
    #expect(lines.contains { $0.split(separator: " ").prefix(3) == ["w", "q4_K", "[256,"] })
  }
}
