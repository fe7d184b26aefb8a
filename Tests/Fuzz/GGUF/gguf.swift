// fuzz-module: OccamCore Sources/Core
// fuzz-module: OccamGGUF Sources/GGUF
// fuzz-module: OccamTokenizer Sources/Tokenizer
// fuzz-corpus: Tests/Goldens/gguf/sample.gguf
// fuzz-corpus: Tests/Fuzz/GGUF/seeds/*
// fuzz-words: Tests/Fuzz/GGUF/gguf.dict
import OccamCore
import OccamGGUF
import OccamTokenizer

/// Arbitrary bytes as a GGUF file: reading refuses or succeeds. What was read must hold together: every tensor's bytes
/// are inside, the listing is printable, the vocabulary encodes and decodes, and writing it gives a readable file.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzGGUF(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: start, count: count))
  guard let file = try? GGUFFile(bytes: bytes, subject: "fuzz") else { return 0 }
  var sum: UInt8 = 0
  for tensor in file.tensors {
    precondition(tensor.byteRange.upperBound <= count)
    for byte in file.bytes(tensor) { sum &+= byte }
  }
  precondition(!inspectionLines(of: file).isEmpty)
  for key in file.metadata.keys { touch(file, key) }
  rewrite(file)
  if let tokenizer = try? Tokenizer(metadata: file) {
    for parse in [false, true] {
      let tokens = tokenizer.encode("Hello <s>wörld\n  🦙's 123</s>", addSpecial: true, parseSpecial: parse)
      precondition(tokens.allSatisfy { $0 >= 0 && $0 < tokenizer.vocabularySize })
      _ = tokenizer.decode(tokens, special: true)
    }
    let segments: [PromptSegment] = [.template("<s>Hello "), .text("</s>wörld\n"), .image(0), .text("<|im_end|>")]
    for case .tokens(let tokens) in tokenizer.encode(segments: segments, addBOS: true, literals: ["<image>"]) {
      precondition(tokens.allSatisfy { $0 >= 0 && $0 < tokenizer.vocabularySize })
    }
    _ = tokenizer.decode(-1...Int32(clamping: tokenizer.vocabularySize), special: true)
  }
  withExtendedLifetime(sum) {}
  return 0
}

private func touch(_ file: GGUFFile, _ key: String) {
  _ = try? file.integer(key)
  _ = try? file.float(key)
  _ = try? file.bool(key)
  _ = try? file.string(key)
  _ = try? file.strings(key)
  _ = try? file.integers(key)
  _ = try? file.floats(key)
}

private func rewrite(_ file: GGUFFile) {
  var writer = GGUFWriter()
  writer.copyMetadata(of: file)
  do {
    for tensor in file.tensors {
      try writer.add(
        tensor: tensor.name, dimensions: tensor.dimensions, type: tensor.type, data: Array(file.bytes(tensor)))
    }
    let copy = try GGUFFile(bytes: writer.serialized(), subject: "copy")
    precondition(copy.metadata.keys == file.metadata.keys)
    precondition(copy.tensors.map(\.name) == file.tensors.map(\.name))
  } catch {
    preconditionFailure("what was read cannot be written: \(error)")
  }
}
