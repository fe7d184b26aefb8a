import Occam
import OccamCore
import OccamFixtures
import OccamGGUF
import OccamModels
import OccamTestSupport
import Testing

/// The line of `occam-run --inspect` that says whether Occam runs a file.
@Suite struct VerdictTests {
  private static func names(_ list: String) throws -> [String] {
    let bytes = try Files.read("\(Locations.goldens)/gguf/\(list).txt", limit: 1 << 16)
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
  }

  /// A file that is a header.
  private func header(_ entries: [(String, String)]) throws -> String {
    var writer = GGUFWriter()
    for (key, value) in entries { writer.set(key, .string(value)) }
    return Inspection.verdict(try GGUFFile(bytes: try writer.serialized(), subject: "header"))
  }

  private func verdict(_ path: String) throws -> String {
    let lines = try Inspection.lines(path: path)
    #expect(lines.filter { $0.hasPrefix("runs ") }.count == 1 && lines[0].hasPrefix("runs      "))
    return String(lines[0].dropFirst("runs      ".count))
  }

  @Test func everyArchitectureOfLlamaCpp() throws {
    let names = try VerdictTests.names("architectures")
    #expect(names.count > 140 && Set(names) == PeerNames.architectures)
    var runnable: [String] = []
    for name in names + ["lxama", ""] {
      let line = try header([("general.architecture", name)])
      if ModelRegistry.runs(architecture: name) {
        runnable.append(name)
        #expect(line.hasPrefix("runs      no: ") && line.contains("key '\(name)."), "\(line)")
      } else {
        let what = PeerNames.architectures.contains(name) ? "Occam does not run the" : "unknown"
        #expect(line.hasPrefix("runs      no: \(what) architecture '\(name)' (general.architecture;"), "\(line)")
      }
    }
    #expect(Set(runnable).isSuperset(of: ["llama", "qwen2", "qwen3", "gemma3"]))
    #expect(try header([]).contains("general.architecture"))
  }

  @Test func everyProjectorOfLlamaCpp() throws {
    let names = try VerdictTests.names("projectors")
    #expect(names.count > 60 && Set(names) == PeerNames.projectors)
    var missing: [String] = []
    for name in names + ["mlx", ""] {
      let line = try header([("general.architecture", "clip"), ("clip.projector_type", name)])
      if line.contains("key 'clip.vision.") || line.contains("is missing") {
        missing.append(name)
      } else {
        let what = PeerNames.projectors.contains(name) ? "Occam does not run the" : "unknown"
        #expect(line.hasPrefix("runs      no: \(what) projector '\(name)' (clip.projector_type;"), "\(line)")
      }
    }
    #expect(Set(missing).isSuperset(of: ["mlp", "idefics3", "gemma3"]) && missing.count < names.count / 2)
  }

  @Test(arguments: TinyFamily.allCases) func filesThatRun(family: TinyFamily) throws {
    let files = try family.files()
    #expect(
      try verdict(files.text).hasPrefix("yes: text model '\(family.prefix)'; to see images it needs its projector"))
    if let projector = files.projector {
      let width = try ModelRegistry.textShape(GGUFFile(path: files.text)).hidden
      #expect(try verdict(projector).hasPrefix("yes, beside a text model of width \(width) (--mmproj): projector '"))
    }
  }

  /// No tensor that loading asks for may be missing, of another shape, or of a format without kernels; the verdict names
  /// what loading would.
  @Test(arguments: TinyFamily.allCases, [false, true])
  func theVerdictIsThatOfLoading(family: TinyFamily, isProjector: Bool) throws {
    let files = try family.files()
    guard let path = isProjector ? files.projector : files.text else { return }
    func agree(_ edited: EditedModel, _ subject: String) throws {
      let changed = try edited.write()
      let line = try verdict(changed)
      do {
        _ = try isProjector ? TinyModel.load(files.text, changed) : TinyModel.load(changed, files.projector)
        #expect(line.hasPrefix("yes"), "\(subject): \(line)")
      } catch {
        let message = (error as? OccamError)?.message ?? ""
        // Without its first matrix a file is no projector to the one, and one without it to the other.
        let isAgreed = line == "no: \(message)" || message.contains("tensor v.patch_embd.weight is missing")
        #expect(isAgreed, "\(subject): \(line), not \(error)")
        // A class token adds a position.
        #expect(line.contains(subject) || subject == "v.class_embd" && line.contains("v.position_embd"), "\(line)")
      }
    }
    let original = try EditedModel(path)
    for tensor in original.tensors {
      var edited = original
      edited.remove(tensor: tensor.name)
      try agree(edited, tensor.name)
      edited = original
      let more = tensor.dimensions.dropLast() + [tensor.dimensions[tensor.dimensions.count - 1] + 16]
      try edited.replace(
        tensor: tensor.name, dimensions: tensor.dimensions.count < 4 ? tensor.dimensions + [2] : Array(more))
      try agree(edited, tensor.name)
      edited = original
      try edited.replace(tensor: tensor.name, type: GGMLType.i16)
      try agree(edited, tensor.name)
    }
  }

  @Test func keysThatStandAgainstIt() throws {
    let files = try TinyModel.files()
    for (key, value) in [
      ("llama.rope.scaling.type", GGUFValue.string("yarn")), ("llama.block_count", .uint32(0)),
      ("llama.attention.key_length", .uint32(512)), ("tokenizer.ggml.model", .string("rwkv")),
      ("llama.context_length", .string("long")),
    ] {
      var edited = try EditedModel(files.text)
      edited.set(key, value)
      let line = try verdict(edited.write())
      let isNamed = line.contains(key) || line.contains("rwkv") || line.contains("head size 512")
      #expect(line.hasPrefix("no: ") && isNamed, "\(line)")
    }
    var edited = try EditedModel(files.text)
    edited.set("tokenizer.chat_template", .string("{% nonsense %}"))
    #expect(try verdict(edited.write()).hasPrefix("no: "))
  }

  @Test func filesThatAreNoModels() throws {
    var adapter = GGUFWriter()
    adapter.set("general.architecture", .string("llama"))
    adapter.set("general.type", .string("adapter"))
    adapter.set("adapter.type", .string("lora"))
    try adapter.add(
      tensor: "blk.0.attn_q.weight.lora_a", dimensions: [64, 8], type: .f32, data: [UInt8](repeating: 0, count: 2048))
    let lora = Inspection.verdict(try GGUFFile(bytes: try adapter.serialized()))
    #expect(lora == "runs      no: an adapter for 'llama' models (adapter.type), which Occam does not apply")
    #expect(try header([("general.type", "imatrix")]).contains("importance matrix"))
    #expect(try header([("general.architecture", "controlvector")]).contains("control vector"))
    // What llama.cpp's ggml-vocab-*.gguf hold.
    var vocabulary = try EditedModel(TinyModel.files().text)
    for tensor in vocabulary.tensors { vocabulary.remove(tensor: tensor.name) }
    #expect(try verdict(vocabulary.write()) == "no: a vocabulary without weights: it holds no tensors")
    // Both parts in one file, and one of another width.
    #expect(try header([("general.architecture", "li\nma")]).contains("\n") == false)
  }

  @Test func fusedFiles() throws {
    let files = try TinyModel.files()
    let text = try GGUFFile(path: files.text)
    let projector = try GGUFFile(path: files.projector)
    for width in [64, 32] {
      var writer = GGUFWriter()
      writer.copyMetadata(of: text)
      for key in projector.metadata.keys where key.hasPrefix("clip.") {
        if let value = projector.metadata[key] { writer.set(key, value) }
      }
      for (file, tensor) in text.tensors.map({ (text, $0) }) + projector.tensors.map({ (projector, $0) }) {
        let isLast = tensor.name.hasPrefix("mm.2.") && width == 32
        let dimensions = isLast ? Array(tensor.dimensions.dropLast()) + [width] : tensor.dimensions
        let data = Array(file.bytes(tensor))
        try writer.add(
          tensor: tensor.name, dimensions: dimensions, type: tensor.type,
          data: isLast ? Array(data.prefix(data.count / 2)) : data)
      }
      let path = "\(TemporaryFolder.make())/fused.gguf"
      try writer.write(to: path)
      let line = try verdict(path)
      #expect(
        line == "yes: text model 'llama' and projector 'mlp' in one file"
          || width == 32 && line.hasPrefix("no: projects to width 32"), "\(line)")
      #expect(line.hasPrefix(width == 64 ? "yes" : "no"))
    }
  }
}
