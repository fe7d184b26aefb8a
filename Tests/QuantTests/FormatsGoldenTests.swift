import OccamCore
import OccamQuantFormats
import Testing

/// Bytes and numbers written by Tests/Goldens/quant/generate.py from ggml and the gguf package.
private enum Golden {
  static let folder: String = {
    let tests = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(separator: "/")
    return tests + "/Goldens/quant/"
  }()

  static func bytes(_ name: String) throws -> [UInt8] { try Files.read(folder + name) }

  static func floats(_ name: String) throws -> [Float] {
    let bytes = try bytes(name)
    return bytes.withUnsafeBytes { raw in
      (0..<bytes.count / 4).map { raw.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) }
    }
  }
}

private func encode(_ format: QuantFormat, _ numbers: [Float]) throws -> [UInt8] {
  var bytes = [UInt8](repeating: 0xa5, count: try #require(format.byteCount(elements: numbers.count)))
  bytes.withUnsafeMutableBytes { raw in
    numbers.withUnsafeBufferPointer { format.encode($0.baseAddress!, count: numbers.count, into: raw.baseAddress!) }
  }
  return bytes
}

@Suite struct FormatsGoldenTests {
  static let stored: [QuantFormat] = QuantFormat.allCases.filter { $0 != .f32 }

  @Test(arguments: stored) func encodesLikeGGML(_ format: QuantFormat) throws {
    let input = try Golden.floats("input.f32")
    let expected = try Golden.bytes("encoded-\(format.name).bin")
    let actual = try encode(format, input)
    #expect(input.count == 4096 && expected.count == actual.count)
    let perSuperBlock = expected.count / 16
    let wrong = (0..<16).filter {
      actual[$0 * perSuperBlock..<($0 + 1) * perSuperBlock] != expected[$0 * perSuperBlock..<($0 + 1) * perSuperBlock]
    }
    #expect(wrong.isEmpty, "super-blocks that differ")
  }

  @Test(arguments: stored) func encodesManyBlocksLikeGGML(_ format: QuantFormat) throws {
    let text = String(decoding: try Golden.bytes("bulk.txt"), as: UTF8.self)
    let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("\(format.name) ") })
    var generator = SeededGenerator(seed: 22)
    let numbers = (0..<1024 * 256).map { index -> Float in
      let block = index / 256
      return generator.normal() * (Float(1 + block % 7) * 0.01) + Float(block % 5) * 0.003
    }
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in try encode(format, numbers) { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    #expect("\(format.name) " + pad(String(hash, radix: 16), 16).replacing(" ", with: "0") == line)
  }

  @Test(arguments: stored) func decodesLikeTheGGUFPackage(_ format: QuantFormat) throws {
    let bytes = try Golden.bytes("random-\(format.name).bin")
    let expected = try Golden.floats("random-\(format.name).f32")
    // One byte off any alignment.
    let memory = UnsafeMutableRawPointer.allocate(byteCount: bytes.count + 1, alignment: 16)
    defer { memory.deallocate() }
    bytes.withUnsafeBytes { (memory + 1).copyMemory(from: $0.baseAddress!, byteCount: bytes.count) }
    var actual = [Float](repeating: .nan, count: expected.count)
    actual.withUnsafeMutableBufferPointer { format.decode(memory + 1, count: expected.count, into: $0.baseAddress!) }
    #expect(expected.count == 512)
    #expect(zip(actual, expected).allSatisfy { $0.bitPattern == $1.bitPattern || ($0 == 0 && $1 == 0) })
  }
}
