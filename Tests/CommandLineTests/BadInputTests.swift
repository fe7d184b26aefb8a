import Glibc
import OccamCore
import OccamTestSupport
import Testing

/// What a user can get wrong: a message that names the subject on stderr, the right exit code, nothing on stdout.
@Suite(.enabled(if: BuiltTool.areBuilt, BuiltTool.reason)) struct BadInputTests {
  private func refused(
    _ arguments: [String], code: Int32 = 1, _ parts: String..., input: [UInt8] = [],
    location: SourceLocation = #_sourceLocation
  ) throws {
    let result = try BuiltTool.run("occam-run", arguments, input: input)
    #expect(result.code == code, "\(result.error)", sourceLocation: location)
    #expect(result.text == "", sourceLocation: location)
    let message = result.error.split(separator: "\n").last { $0.hasPrefix("occam-run: ") } ?? ""
    for part in parts {
      #expect(message.contains(part), "'\(part)' is not in: \(result.error)", sourceLocation: location)
    }
  }

  private func refusedPhoto(
    _ path: String, _ parts: String..., location: SourceLocation = #_sourceLocation
  ) throws {
    let result = try BuiltTool.run("occam-run", try DemoModel.flags() + ["--image", path, "-p", "x", "-n", "1"])
    #expect(result.code == 1, sourceLocation: location)
    #expect(result.text == "", sourceLocation: location)
    for part in parts + [path] {
      #expect(result.error.contains(part), "\(result.error)", sourceLocation: location)
    }
  }

  // MARK: Flags

  @Test func wrongFlagsAreExitCode2WithTheNearest() throws {
    try refused(["--imgae", "x.jpg"], code: 2, "unknown flag '--imgae'", "did you mean '--image'?")
    try refused(["-m"], code: 2, "-m needs the name of a file")
    try refused([], code: 2, "--model is required")
    try refused(["-m", "a.gguf"], code: 2, "-p is required")
    try refused(["-m", "a.gguf", "-p", "x", "-n", "many"], code: 2, "-n: expected a whole number", "'many'")
    try refused(["-m", "a.gguf", "-p", "x", "--prune", "on"], code: 2, "--prune: expected one of auto, off")
    try refused(["-m", "a.gguf", "-p", "x", "extra"], code: 2, "unexpected argument 'extra'")
    try refused(["-m", "a.gguf", "-p", "x", "--logprobs", "3"], code: 2, "--logprobs needs --json")
    try refused(["-m", "a.gguf", "-p", "x", "-f", "y"], code: 2, "-p and -f exclude each other")
    try refused(["-m", "a.gguf", "-p", "x", "--keep-map", "k.png"], code: 2, "--keep-map needs an --image")
    try refused(
      ["-m", "a.gguf", "-p", "x", "--image", "a.jpg", "--keep-map", "k.png", "--prune", "off"], code: 2, "--keep-map",
      "--prune is off")
    try refused(["-m", "a.gguf", "-p", "-", "--image", "-"], code: 2, "standard input")
    try refused(["-m", "a.gguf", "-f", "-", "--image", "-"], code: 2, "standard input")
    try refused(["-m", "a.gguf", "-p", "x", "--image", "-", "--image", "-"], code: 2, "standard input")
    try refused(["-m", "a.gguf", "-p", "x", "-ctv", "q3_0"], code: 2, "-ctv: expected one of f32, f16, q8_0, q4_0")
  }

  // MARK: Model files

  @Test func modelFilesThatCannotBeRead() throws {
    let folder = TemporaryFolder.make()
    try refused(["-m", "\(folder)/none.gguf", "-p", "x"], "none.gguf", "No such file")
    try refused(["-m", folder, "-p", "x"], folder, "is a directory")
    try refused(["-m", try DemoModel.file("empty.gguf", []), "-p", "x"], "empty.gguf")
    try refused(["-m", DemoModel.photo, "-p", "x"], "cat.jpg", "GGUF")
    try refused(["--inspect", DemoModel.photo], "cat.jpg", "GGUF")
    if getuid() != 0 {
      let locked = try DemoModel.file("locked.gguf", [1])
      chmod(locked, 0)
      try refused(["-m", locked, "-p", "x"], "locked.gguf", "Permission denied")
    }
  }

  @Test(arguments: [4, 20, 100, 5000, 30_000, 500_000]) func truncatedModel(length: Int) throws {
    for part in [DemoModel.Part.text, .projector] {
      let flags = try DemoModel.flags(changing: part) { $0 = Array($0.prefix(length)) }
      try refused(flags + ["-p", "x"], "changed.gguf")
    }
  }

  @Test func malformedModels() throws {
    func refusedModel(
      _ parts: String..., part: DemoModel.Part = .text, location: SourceLocation = #_sourceLocation,
      change: (inout [UInt8]) throws -> Void
    ) throws {
      let flags = try DemoModel.flags(changing: part, change)
      let result = try BuiltTool.run("occam-run", flags + ["-p", "x"])
      #expect(result.code == 1, "\(result.error)", sourceLocation: location)
      #expect(result.text == "", sourceLocation: location)
      for part in parts + ["changed.gguf"] {
        #expect(result.error.contains(part), "\(result.error)", sourceLocation: location)
      }
    }
    try refusedModel("not a GGUF file") { $0[0] = 0 }
    try refusedModel("version") { $0.set(99, at: 4) }
    try refusedModel("unknown architecture 'lxama'") { try $0.replace("llama", with: "lxama") }
    try refusedModel("unknown projector 'mlx'", part: .projector) { try $0.replace("mlp", with: "mlx") }
    try refusedModel("tensor 'blk.1.attn_k.weight' is missing") {
      try $0.replace("blk.1.attn_k.weight", with: "blk.1.attn_x.weight")
    }
    try refusedModel("tensor 'v.blk.0.ln1.bias' is missing", part: .projector) {
      try $0.replace("v.blk.0.ln1.bias", with: "v.blk.0.lnx.bias")
    }
    try refusedModel("tensor 'blk.0.attn_k.weight' has shape [128, 256], expected [256, 128]") {
      try $0.setDimension(0, of: "blk.0.attn_k.weight", to: 128)
      try $0.setDimension(1, of: "blk.0.attn_k.weight", to: 256)
    }
    // 1-bit "tq1_0" holds 54 bytes in 256; f16 and bf16 are alike in size, i16 is none of Occam's.
    try refusedModel("tensor 'blk.0.attn_k.weight' has the format i16") {
      try $0.setType(25, of: "blk.0.attn_k.weight")
    }
    try refusedModel("'blk.0.attn_k.weight'", "unknown tensor type 99") {
      try $0.setType(99, of: "blk.0.attn_k.weight")
    }
    try refusedModel("llama.attention.head_count") { try $0.setKey("llama.attention.head_count", to: 0) }
    try refusedModel("llama.block_count") { try $0.setKey("llama.block_count", to: .max) }
    try refusedModel("llama.embedding_length") {
      try $0.replace("llama.embedding_length", with: "llama.embedding_lengtx")
    }
    try refusedModel("clip.vision.image_size", part: .projector) { try $0.setKey("clip.vision.image_size", to: 0) }
  }

  @Test func modelsThatDoNotFit() throws {
    let demo = try Fixture.make("demo", "F16")
    let other = try Fixture.make("g3", "F16")
    try refused(
      ["-m", demo.text, "-mm", other.projector, "-p", "x"], other.projector, "width 480", "'\(demo.text)' has width 256"
    )
    try refused(["-m", demo.projector, "-p", "x"], demo.projector, "without a text model")
    try refused(["-m", demo.text, "-mm", demo.text, "-p", "x"], demo.text, "holds no vision encoder")
    let lonely = try DemoModel.file("lonely.gguf", try Files.read(demo.text))
    try refused(["-m", lonely, "-p", "x", "--image", DemoModel.photo], lonely, "text-only", "--mmproj")
    let sidecar = try DemoModel.file("side.json", "{\"version\": 1}".utf8)
    try refused(["-m", demo.text, "-p", "x", "--sidecar", sidecar], sidecar)
  }

  // MARK: Photos

  @Test func photosThatAreNone() throws {
    try refusedPhoto("\(TemporaryFolder.make())/none.jpg", "No such file")
    try refusedPhoto(TemporaryFolder.make(), "Is a directory")
    try refusedPhoto(try DemoModel.file("empty.jpg", []), "is not an image: it is empty")
    try refusedPhoto(try DemoModel.file("words.jpg", "a cat, in words".utf8), "is not an image")
    try refusedPhoto(try DemoModel.file("cat.gif", "GIF89a".utf8), "is truncated")
    try refusedPhoto(try DemoModel.file("heic.jpg", [0, 0, 0, 24] + Array("ftypheic".utf8)), "HEIF")
    try refused(
      try DemoModel.flags() + ["--image", "-", "-p", "x"], "'standard input' is not an image", input: Array("no".utf8))
  }

  @Test func damagedPhotos() throws {
    for name in ["cat.jpg", "cup.jpg", "cat.png"] {
      let bytes = try Files.read("\(Locations.photos)/\(name)")
      for length in [3, 30] {
        try refusedPhoto(try DemoModel.file(name, bytes.prefix(length)), "is truncated")
      }
      // Half of the data shows half of the photo, as in a browser.
      let half = try DemoModel.file("half-\(name)", bytes.prefix(bytes.count / 2))
      let result = try BuiltTool.run("occam-run", try DemoModel.flags() + ["--image", half, "-p", "x", "-n", "1"])
      #expect(result.code == 0, "\(result.error)")
    }
  }

  /// A header is all there is: the size is refused before anything is allocated for it.
  @Test func enormousPhotos() throws {
    let size: [UInt8] = [0x4E, 0x20]
    let jpeg: [UInt8] =
      [0xFF, 0xD8, 0xFF, 0xC0, 0, 17, 8] + size + size + [3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1, 0xFF, 0xD9]
    try refusedPhoto(try DemoModel.file("huge.jpg", jpeg), "is too large: 20000x20000")
    let padded: [UInt8] = [0, 0] + size
    let chunk: [UInt8] = Array("IHDR".utf8) + padded + padded + [8, 2, 0, 0, 0]
    let png: [UInt8] =
      [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 13] + chunk + checksum(chunk)
    try refusedPhoto(try DemoModel.file("huge.png", png), "is too large: 20000x20000")
  }

  @Test func aPhotoOfOnePixelIsAPhoto() throws {
    func chunk(_ name: String, _ content: [UInt8]) -> [UInt8] {
      let body = Array(name.utf8) + content
      return [0, 0, 0, UInt8(content.count)] + body + checksum(body)
    }
    // One stored block: filter 0 and a red pixel.
    let zlib: [UInt8] = [0x78, 1, 1, 4, 0, 0xFB, 0xFF, 0, 255, 0, 0, 3, 1, 1, 0]
    let png =
      [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A] + chunk("IHDR", [0, 0, 0, 1, 0, 0, 0, 1, 8, 2, 0, 0, 0])
      + chunk("IDAT", zlib) + chunk("IEND", [])
    let path = try DemoModel.file("one.png", png)
    let result = try BuiltTool.run("occam-run", try DemoModel.flags() + ["--image", path, "-p", "x", "-n", "2"])
    #expect(result.code == 0, "\(result.error)")
  }

  private func checksum(_ bytes: [UInt8]) -> [UInt8] {
    let crc = ~bytes.reduce(UInt32.max) { crc, byte in
      (0..<8).reduce(crc ^ UInt32(byte)) { value, _ in value & 1 != 0 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1 }
    }
    return [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: crc >> $0) }
  }

  // MARK: Prompts

  @Test func promptsThatDoNotFit() throws {
    let demo = try DemoModel.flags()
    let long = try DemoModel.file("long.txt", String(repeating: "a photo of a cat ", count: 2000).utf8)
    try refused(demo + ["-f", long], "prompt: needs", "the context holds 2048")
    try refused(demo + ["-p", "hello", "-c", "4"], "prompt: needs", "the context holds 4")
    try refused(demo + ["-p", "x", "--image", DemoModel.photo, "-c", "300"], "prompt: needs", "the context holds 300")
    try refused(demo + ["-f", "\(TemporaryFolder.make())/none.txt"], "none.txt", "No such file")
    try refused(demo + ["-f", try DemoModel.file("latin1.txt", [0x63, 0xE9])], "latin1.txt", "is not UTF-8")
    try refused(demo + ["--raw", "-p", "see <__media__>"], "1 image mark <__media__> for no images")
    try refused(
      demo + ["--raw", "-p", "see", "--image", DemoModel.photo], "no image marks <__media__> for 1 image")
    try refused(demo + ["-p", "x", "--background", "beige"], code: 2, "--background beige")
    try refused(
      demo + ["-p", "x", "--image", DemoModel.photo, "--prune-layer", "9"], "pruning layer 9", "layers 1 to 3")
  }

  @Test func aFullContextEndsTheReplyWithAnError() throws {
    let arguments = try DemoModel.flags() + ["-p", "x", "-c", "24", "--ignore-eos", "--temp", "0"]
    let result = try BuiltTool.run("occam-run", arguments)
    #expect(result.code == 1)
    #expect(result.error.contains("occam-run: context: is full (24 tokens)"))
    // What was said stays, on a line of its own.
    #expect(result.text.count > 10 && result.text.hasSuffix("\n"))
  }

  // MARK: Outputs

  @Test func aFullDisk() throws {
    let flags = try DemoModel.flags() + ["-p", "x", "-n", "2", "--temp", "0"]
    let map = try BuiltTool.run("occam-run", flags + ["--image", DemoModel.photo, "--keep-map", "/dev/full"])
    #expect(map.code == 1)
    #expect(map.error.contains("occam-run: cannot write '/dev/full': No space left on device"))
    #expect(!map.text.isEmpty)
    let text = try BuiltTool.run("occam-run", flags, output: "/dev/full")
    #expect(text.code == 1)
    #expect(text.error.contains("occam-run: cannot write 'standard output': No space left on device"))
    // The device must have stayed one.
    var status = stat()
    #expect(stat("/dev/full", &status) == 0 && status.st_mode & S_IFMT == S_IFCHR)
    let missing = "\(TemporaryFolder.make())/none/map.png"
    try refused(flags + ["--image", DemoModel.photo, "--keep-map", missing], "cannot write '\(missing)'")
  }

  @Test func aClosedPipe() throws {
    let ends = try Pipe()
    close(ends.reading)
    defer { close(ends.writing) }
    let arguments = try DemoModel.flags() + ["-p", "x", "-n", "9"]
    for flags in [arguments, arguments + ["--json"], ["--help"], ["--inspect", arguments[1]]] {
      let process = try ToolProcess("occam-run", flags, output: .descriptor(ends.writing))
      #expect(process.wait() == 1)
      #expect(process.error.contains("occam-run: cannot write 'standard output': Broken pipe"))
    }
  }

  @Test func aSymbolicLinkStaysOne() throws {
    let folder = TemporaryFolder.make()
    try Files.write([1], to: "\(folder)/real.png")
    symlink("real.png", "\(folder)/link.png")
    let flags = try DemoModel.flags() + ["-p", "x", "-n", "1", "--image", DemoModel.photo]
    let result = try BuiltTool.run("occam-run", flags + ["--keep-map", "\(folder)/link.png"])
    #expect(result.code == 0, "\(result.error)")
    #expect(try Files.read("\(folder)/real.png").starts(with: [0x89, 0x50, 0x4E, 0x47]))
  }
}
