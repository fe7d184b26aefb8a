import OccamCore
import OccamFixtures
import OccamTestSupport
import Testing

@Suite struct SupportTests {
  /// A `.npy` file with this header text.
  private func file(_ header: String, _ data: [UInt8]) -> [UInt8] {
    [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.utf8.count), 0] + Array(header.utf8) + data
  }

  @Test("npy: the three element types")
  func elementTypes() throws {
    let f4 = try NumPyArray(
      bytes: file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }\n", [0, 0, 128, 63, 0, 0, 0, 192]),
      subject: "a")
    #expect(f4.shape == [2, 1])
    #expect(f4.values == [1, -2])
    #expect(f4.values(at: 1) == [-2])
    let f2 = try NumPyArray(
      bytes: file("{'descr': '<f2', 'fortran_order': False, 'shape': (1,), }", [0, 0x3E]), subject: "a")
    #expect(f2.values == [1.5])
    let i4 = try NumPyArray(
      bytes: file("{'descr': '<i4', 'fortran_order': False, 'shape': (1,), }", [254, 255, 255, 255]), subject: "a")
    #expect(i4.values == [-2])
  }

  @Test(
    "npy: what is not understood is refused",
    arguments: [
      "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }",
      "{'descr': '<f4', 'fortran_order': True, 'shape': (1,), }",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }",
      "{'descr': '<f4', 'fortran_order': False, 'shape': (x,), }",
      "{'descr': '<f4', 'shape': (1,), }",
    ])
  func refused(header: String) {
    #expect(throws: NumPyArray.FormatError.self) {
      try NumPyArray(bytes: file(header, [0, 0, 0, 0]), subject: "a")
    }
  }

  @Test("npy: no numpy file")
  func noNumPyFile() {
    for bytes in [[], Array("NUMPY".utf8), [0x93] + Array("NUMPY".utf8) + [2, 0, 0, 0]] as [[UInt8]] {
      #expect(throws: NumPyArray.FormatError.self) { try NumPyArray(bytes: bytes, subject: "a") }
    }
  }

  @Test("comparers on numbers worked by hand")
  func comparers() {
    #expect(abs(cosine([1, 0], [1, 1]) - 0.5.squareRoot()) < 1e-12)
    #expect(deviation([1, 3]) == 1)
    // Differences 2 and 0: root mean square sqrt(2); the expected values' deviation is 1.
    #expect(abs(error(of: [3, 3], from: [1, 3]) - 2.0.squareRoot()) < 1e-12)
    #expect(largestError(of: [3, 3], from: [1, 3]) == 2)
    #expect(crc32(Array("123456789".utf8)) == 0xCBF4_3926)
  }

  @Test("the goldens hang together")
  func goldensHangTogether() throws {
    let goldens = try LlavaGoldens.all()
    #expect(goldens.count >= 100)
    for golden in goldens {
      #expect(golden.steps.count == 16 && golden.steps.allSatisfy { $0.ids.count == 8 }, "\(golden)")
      // The best tokens of step 0 are those of the full vector.
      for (id, logit) in zip(golden.steps[0].ids, golden.steps[0].logits) {
        #expect(abs(golden.logits[id] - logit) <= (golden.hasLlamaVocabulary ? 0.01 : 0), "\(golden)")
      }
      #expect(golden.steps[0].logits[0] >= (golden.logits.max() ?? .infinity) - 0.01, "\(golden)")
      #expect((golden.photo == nil) == golden.rows.isEmpty, "\(golden)")
      #expect(golden.tokensBeforeImage.first == 1, "\(golden)")
      if let embeddings = golden.embeddings, let width = golden.rows.first?.values.count {
        #expect(embeddings.count == golden.imageTokens * width)
        for row in golden.rows {
          let stored = Array(embeddings[row.index * width..<(row.index + 1) * width])
          #expect(error(of: stored, from: row.values) < 1e-3, "\(golden)")
        }
      }
    }
  }

  @Test("photos and quantisation leave their mark: no golden is trivially met")
  func goldensDiffer() throws {
    let goldens = try LlavaGoldens.all().filter { $0.fixture == "g1" && !$0.hasLlamaVocabulary && $0.type == "F16" }
    let cat = try #require(goldens.first { $0.photo == "cat.png" && $0.reading == .reference })
    let cup = try #require(goldens.first { $0.photo == "cup.png" && $0.reading == .reference })
    let asIs = try #require(goldens.first { $0.reading == .asIs })
    #expect(error(of: cup.logits, from: cat.logits) > 0.2)
    #expect(error(of: asIs.logits, from: cat.logits) > 0.05)
  }

  @Test("the built-in vocabulary: every byte, no piece twice, words grow letter by letter")
  func builtInVocabulary() {
    let vocabulary = BuiltInVocabulary()
    let known = Set(vocabulary.pieces)
    #expect(known.count == vocabulary.count)
    #expect(vocabulary.pieces[3] == "<0x00>" && vocabulary.pieces[258] == "<0xFF>")
    #expect(vocabulary.kinds.count == vocabulary.count && vocabulary.scores.count == vocabulary.count)
    for (piece, kind) in zip(vocabulary.pieces, vocabulary.kinds) where kind == .normal {
      guard piece.hasPrefix("\u{2581}"), piece.unicodeScalars.count > 2 else { continue }
      #expect(known.contains(String(piece.dropLast())), "\(piece)")
    }
  }
}
