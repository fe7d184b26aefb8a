import OccamCore
import OccamFixtures
import OccamGGUF
import OccamQuantFormats
import OccamTestSupport
import Testing

@Suite struct FixtureTests {
  @Test("the files are, byte for byte, those the goldens were made from")
  func filesAreThoseOfTheGoldens() throws {
    let checksums = try LlavaGoldens.checksums()
    #expect(checksums.count >= 16)
    for entry in checksums where !entry.pair.hasSuffix("-spm") {
      let files = try Fixture.make(entry.pair, entry.type)
      #expect(crc32(try Files.read(files.text)) == entry.text, "\(entry.pair) \(entry.type) text")
      #expect(crc32(try Files.read(files.projector)) == entry.projector, "\(entry.pair) \(entry.type) mmproj")
    }
  }

  @Test("so are those with the 32,000-token vocabulary", .enabled(if: Locations.llamaVocabulary != nil))
  func filesWithLlamaVocabulary() throws {
    for entry in try LlavaGoldens.checksums() where entry.pair == "g1-spm" {
      let files = try Fixture.make("g1", entry.type, vocabulary: Locations.llamaVocabulary)
      #expect(crc32(try Files.read(files.text)) == entry.text, "\(entry.type)")
    }
  }

  @Test("another seed gives other weights and the same shapes")
  func seedsDiffer() throws {
    let first = try GGUFFile(path: Fixture.make("demo", "F16").text)
    let second = try GGUFFile(path: Fixture.make("demo", "F16", seed: 99).text)
    #expect(first.tensors == second.tensors)
    for tensor in first.tensors {
      #expect(!first.bytes(tensor).elementsEqual(second.bytes(tensor)), "\(tensor.name)")
    }
  }

  @Test("a fused file holds the tensors and metadata of both")
  func fusedHoldsBoth() throws {
    let pair = try Fixture.make("g3", "Q8_0")
    let (text, projector) = (try GGUFFile(path: pair.text), try GGUFFile(path: pair.projector))
    let fused = try GGUFFile(path: Fixture.makeFused("g3", "Q8_0"))
    #expect(fused.tensors.map(\.name) == (text.tensors + projector.tensors).map(\.name))
    for part in [text, projector] {
      for tensor in part.tensors {
        #expect(fused.bytes(try fused.requireTensor(tensor.name)).elementsEqual(part.bytes(tensor)), "\(tensor.name)")
      }
      for key in part.metadata.keys where !key.hasPrefix("general.") {
        #expect(fused.metadata[key] == part.metadata[key], "\(key)")
      }
    }
    #expect(try fused.string("general.architecture") == "llama")
  }

  @Test("every fixture has legal rows, and matrices of the wanted deviation", arguments: ["demo", "g1", "g2", "g3"])
  func weightsHaveTheirDeviation(name: String) throws {
    let file = try GGUFFile(path: Fixture.make(name, "F32").text)
    for suffix in ["attn_q.weight", "ffn_up.weight", "ffn_down.weight"] {
      let tensor = try file.requireTensor("blk.0.\(suffix)")
      let values = Array(file.bytes(tensor).bindMemory(to: Float.self))
      let gain: Float = suffix == "attn_q.weight" ? 1.6 : 1
      let expected = Double(gain / Float(tensor.dimensions[0]).squareRoot())
      // ffn_down has three outlier rows of four times the deviation.
      let factor = (deviation(values) / expected)
      #expect(factor > 0.98 && factor < (suffix == "ffn_down.weight" ? 1.3 : 1.02), "\(suffix): \(factor)")
    }
  }

  @Test("the types of a mix follow llama.cpp's rules")
  func mixFollowsRules() throws {
    let file = try GGUFFile(path: Fixture.make("g1", "Q4_K_M").text)
    func type(_ name: String) throws -> GGMLType { try file.requireTensor(name).type }
    #expect(try type("output.weight") == .q6_K)
    #expect(try type("token_embd.weight") == .q4_K)
    #expect(try type("blk.0.attn_norm.weight") == .f32)
    #expect(try type("blk.0.attn_q.weight") == .q4_K)
    // Of four layers, the third (every third) and the last (last eighth) get more bits.
    #expect(try (0..<4).map { try type("blk.\($0).ffn_down.weight") } == [.q4_K, .q4_K, .q6_K, .q6_K])
    #expect(try (0..<4).map { try type("blk.\($0).attn_v.weight") } == [.q4_K, .q4_K, .q6_K, .q6_K])
    // 480 columns hold no super-block of 256.
    let odd = try GGUFFile(path: Fixture.make("g3", "Q4_K_M").text)
    #expect(try odd.requireTensor("blk.0.attn_q.weight").type == .q8_0)
  }

  @Test("timing weights have about the deviation of the real ones", arguments: [QuantFormat.q4_0, .q6_K, .f16])
  func timingWeights(format: QuantFormat) throws {
    var spec = FixtureSpec.g1
    spec.isForTimingOnly = true
    spec.text.layers = 1
    let files = try spec.write(to: TemporaryFolder.make(), type: format == .f16 ? .f16 : .q4_0)
    let file = try GGUFFile(path: files.text)
    let tensor = try file.requireTensor(format == .q6_K ? "output.weight" : "blk.0.ffn_up.weight")
    #expect(tensor.type.rawValue == format.rawValue)
    var values = [Float](repeating: 0, count: tensor.elementCount)
    let raw = file.bytes(tensor)
    if let base = raw.baseAddress { format.decode(base, count: values.count, into: &values) }
    let wanted = Double((format == .q6_K ? 3 : 1) / Float(256).squareRoot())
    let factor = deviation(values) / wanted
    #expect(factor > 0.6 && factor < 1.4, "\(factor)")
  }
}
