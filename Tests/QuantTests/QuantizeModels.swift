import Glibc
import OccamCore
import OccamGGUF
import OccamQuantFormats
import OccamQuantizer
import Testing

/// A model file that exists while the object does, in a folder of its own.
final class QuantizeFile {
  let folder: String
  var path: String { folder + "/in.gguf" }
  var output: String { folder + "/out.gguf" }

  init(_ writer: GGUFWriter) throws {
    var template = Array("/tmp/occam-quantize-XXXXXX".utf8CString)
    folder = try #require(mkdtemp(&template).map { String(cString: $0) })
    try writer.write(to: path)
  }

  deinit {
    for name in Files.list(folder) { unlink("\(folder)/\(name)") }
    rmdir(folder)
  }

  func plan(_ options: QuantizationOptions) throws -> QuantizationPlan {
    try Quantizer(path: path, options).plan
  }

  /// Quantizes to `output` and opens it.
  func quantize(_ options: QuantizationOptions, threads: Int = 2, slabBytes: Int = 4 << 20) throws -> GGUFFile {
    let quantizer = try Quantizer(path: path, options, slabBytes: slabBytes)
    try quantizer.write(to: output, team: WorkerTeam(threads: threads)) { _, _ in }
    return try GGUFFile(path: output)
  }
}

extension GGUFWriter {
  /// Adds numbers stored in `format`.
  mutating func add(_ name: String, _ dimensions: [Int], _ format: QuantFormat = .f32, _ numbers: [Float]) throws {
    var bytes = [UInt8](repeating: 0, count: try #require(format.byteCount(elements: numbers.count)))
    bytes.withUnsafeMutableBytes { raw in
      if let base = raw.baseAddress { format.encode(numbers, count: numbers.count, into: base) }
    }
    let type = try #require(GGMLType(rawValue: format.rawValue))
    try add(tensor: name, dimensions: dimensions, type: type, data: bytes)
  }

  /// Adds zeros.
  mutating func add(_ name: String, _ dimensions: Int...) throws {
    try add(name, dimensions, .f32, [Float](repeating: 0, count: dimensions.reduce(1, *)))
  }

  /// The text models of Tests/Goldens/quantize/generate.py.
  static func text(layers: Int, width: Int, inner: Int, heads: Int, groups: Int, tied: Bool) throws -> GGUFWriter {
    var writer = GGUFWriter()
    writer.set("general.architecture", "llama")
    writer.set("llama.block_count", layers)
    writer.set("llama.attention.head_count", heads)
    writer.set("llama.attention.head_count_kv", groups)
    try writer.add("token_embd.weight", width, 2)
    try writer.add("output_norm.weight", width)
    if !tied { try writer.add("output.weight", width, 2) }
    for layer in 0..<layers {
      for name in ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up"] {
        try writer.add("blk.\(layer).\(name).weight", width, 2)
      }
      try writer.add("blk.\(layer).ffn_down.weight", inner, 2)
      try writer.add("blk.\(layer).attn_norm.weight", width)
      try writer.add("blk.\(layer).ffn_norm.weight", width)
    }
    return writer
  }

  /// The vision encoder of the same script.
  static func vision(layers: Int, width: Int, inner: Int) throws -> GGUFWriter {
    var writer = GGUFWriter()
    writer.set("general.architecture", "clip")
    try writer.add("v.class_embd", width)
    try writer.add("v.patch_embd.weight", 2, 2, 3, width)
    try writer.add("v.position_embd.weight", width, 5)
    try writer.add("v.pre_ln.weight", width)
    for layer in 0..<layers {
      for name in ["attn_q", "attn_k", "attn_v", "attn_out", "ffn_up"] {
        try writer.add("v.blk.\(layer).\(name).weight", width, 2)
        try writer.add("v.blk.\(layer).\(name).bias", 2)
      }
      try writer.add("v.blk.\(layer).ffn_down.weight", inner, 2)
      try writer.add("v.blk.\(layer).ln1.weight", width)
    }
    try writer.add("mm.0.weight", width, 2)
    try writer.add("mm.0.bias", 2)
    try writer.add("mm.2.weight", width, 2)
    return writer
  }
}
