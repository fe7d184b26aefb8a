import Glibc
import OccamCore
import OccamGGUF
import Testing

/// Against a file written by the Python gguf package (Tests/Goldens/gguf/make.py).
@Suite struct GoldenFileTests {
  static let path =
    #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(separator: "/")
    + "/Goldens/gguf/sample.gguf"

  let file: GGUFFile

  init() throws { file = try GGUFFile(path: GoldenFileTests.path) }

  @Test func values() throws {
    #expect(file.version == 3)
    #expect(file.alignment == 64)
    #expect(try file.string("general.architecture") == "sample")
    let expected: [(String, GGUFValue, GGUFArray)] = [
      ("uint8", .uint8(200), .uint8([200, 0, 1])),
      ("int8", .int8(-100), .int8([-100, 0, 1])),
      ("uint16", .uint16(60000), .uint16([60000, 0, 1])),
      ("int16", .int16(-30000), .int16([-30000, 0, 1])),
      ("uint32", .uint32(4_000_000_000), .uint32([4_000_000_000, 0, 1])),
      ("int32", .int32(-2_000_000_000), .int32([-2_000_000_000, 0, 1])),
      ("uint64", .uint64(1 << 63 + 5), .uint64([1 << 63 + 5, 0, 1])),
      ("int64", .int64(-1 << 62), .int64([-1 << 62, 0, 1])),
      ("float32", .float32(0.15625), .float32([0.15625, 0, 1])),
      ("float64", .float64(1.0 / 3), .float64([1.0 / 3, 0, 1])),
      ("bool", .bool(true), .bool([true, false])),
      ("string", .string("Grüße, 世界 🦙"), .string(GGUFStrings(["Grüße, 世界 🦙", "", "b"]))),
    ]
    for (name, scalar, array) in expected {
      #expect(file.metadata["scalar.\(name)"] == scalar, "\(name)")
      #expect(file.metadata["array.\(name)"] == .array(array), "\(name)")
    }
    #expect(file.metadata["array.bytes"] == .array(.string(GGUFStrings(bytes: [[0xFF, 0xFE], [0xE2, 0x96]]))))
    #expect(file.metadata.keys.count == 2 + 2 * expected.count + 1)
  }

  @Test func tensors() throws {
    let expected: [(String, GGMLType, [Int])] = [
      ("f32", .f32, [16, 3, 2]), ("f16", .f16, [16, 3, 2]), ("f64", .f64, [2]), ("i8", .i8, [10]), ("i32", .i32, [7]),
      ("q4_0", .q4_0, [64, 2]), ("q8_0", .q8_0, [32, 2]), ("q4_k", .q4_K, [256, 2]), ("q6_k", .q6_K, [512, 2]),
      ("bf16", .bf16, [3, 2]),
    ]
    #expect(file.tensors.count == expected.count)
    for (tensor, (name, type, dimensions)) in zip(file.tensors, expected) {
      #expect(tensor.name == name)
      #expect(tensor.type == type)
      #expect(tensor.dimensions == dimensions)
    }
    let ramp = file.bytes(try file.requireTensor("f32"))
    #expect((0..<96).allSatisfy { ramp.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) == Float($0) })
    let small = file.bytes(try file.requireTensor("i8"))
    #expect(small.map { Int8(bitPattern: $0) } == Array(-5..<5))
    for name in ["q4_0", "q8_0", "q4_k", "q6_k", "bf16"] {
      let tensor = try file.requireTensor(name)
      let bytes = file.bytes(tensor)
      #expect(bytes.indices.allSatisfy { bytes[$0] == UInt8(truncatingIfNeeded: $0 * 7 + Int(tensor.type.rawValue)) })
    }
  }

  /// What the package wrote, read and written by us, is the same file to the byte.
  @Test func rewritten() throws {
    var writer = GGUFWriter()
    writer.copyMetadata(of: file)
    for tensor in file.tensors {
      let data = Array(file.bytes(tensor))
      try writer.add(tensor: tensor.name, dimensions: tensor.dimensions, type: tensor.type, data: data)
    }
    let golden = try Files.read(GoldenFileTests.path)
    let equal = try writer.serialized() == golden
    #expect(equal)
    // For check.py, which reads the copy with the package.
    if let copy = getenv("OCCAM_GGUF_COPY") { try writer.write(to: String(cString: copy)) }
  }
}
