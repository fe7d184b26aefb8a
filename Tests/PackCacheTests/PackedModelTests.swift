import Glibc
import Occam
import OccamCore
import OccamPackCache
import OccamPruning
import OccamTestSupport
import Testing

/// Models from the cache: the same to the bit as models from their files.
@Suite(.serialized) struct PackedModelTests {
  /// What a model makes of a photo and a question.
  private struct Outcome: Equatable {
    var features: [Float] = []
    var text = ""
    var again = ""
  }

  private static let photo = ImageSource.file("\(Locations.photos)/cat.jpg")

  private static func options(
    _ folder: PackFolder?, lowMemory: Bool = false, kernel: String? = nil
  ) -> ModelOptions {
    var options = ModelOptions(threads: 2, kernel: kernel)
    options.packCache = folder?.path
    options.lowMemory = lowMemory
    return options
  }

  private static func outcome(_ model: VisionLanguageModel) throws -> Outcome {
    var options = GenerationOptions()
    (options.temperature, options.maxTokens, options.ignoresEndOfText) = (0, 4, true)
    let session = try model.makeSession()
    var outcome = Outcome()
    let sees = model.projectorPath != nil
    if sees {
      let encoded = try session.encode(photo, register: nil)
      outcome.features = encoded.tiles.flatMap { Array($0.features.buffer) }
    }
    outcome.text = try session.respond(to: "What is this?", images: sees ? [photo] : [], options: options).text
    // A picture in a later turn.
    outcome.again = try session.respond(to: "And this?", images: sees ? [photo] : [], options: options).text
    return outcome
  }

  private static func load(
    _ files: (text: String, projector: String?), _ options: ModelOptions
  ) throws -> (Outcome, notes: [String]) {
    let model = try VisionLanguageModel(path: files.text, projector: files.projector, options: options)
    return (try outcome(model), model.notes.filter { !$0.contains("using projector") })
  }

  /// Every way that families take weights: plain, stacked experts, split, transposed, summed, requantised.
  private static let models = [
    ("g1", "F16"), ("g1", "Q4_K_M"), ("smolvlm-a", "Q8_0"), ("gemma3-a", "Q4_0"), ("next-a", "F16"),
    ("internvl-a", "F16"), ("qwen2vl-a", "F16"), ("qwen25vl-a", "Q8_0"), ("qwen3vl-a", "F16"),
    ("qwen3vlmoe-a", "Q8_0"), ("qwen35-a", "F16"), ("qwen35moe-a", "Q4_K_M"), ("lfm2-a", "Q6_K"), ("gemma4-a", "F16"),
    ("qwen3moe-text", "Q4_0"),
  ]

  @Test(arguments: models) func answersAreTheSame(name: String, type: String) throws {
    let files = try Fixture.makeFiles(name, type)
    let folder = PackFolder()
    let (plain, _) = try PackedModelTests.load(files, PackedModelTests.options(nil))
    let first = try PackedModelTests.load(files, PackedModelTests.options(folder))
    #expect(first.0 == plain && first.notes.isEmpty, "\(first.notes)")
    let kept = folder.files
    #expect(kept.count == (files.projector == nil ? 1 : 2) && folder.names == kept)
    let inodes = kept.map { PackFolder.identity("\(folder.path)/\($0)")?.inode }
    for lowMemory in [false, true] {
      let later = try PackedModelTests.load(files, PackedModelTests.options(folder, lowMemory: lowMemory))
      #expect(later.0 == plain && later.notes.isEmpty, "\(later.notes)")
    }
    let after = folder.files
    #expect(after.map { PackFolder.identity("\(folder.path)/\($0)")?.inode } == inodes, "the cache was complete")
  }

  @Test func aFusedFileHasAPartForEach() throws {
    let files = (text: try Fixture.makeFused("g1", "F16"), projector: String?.none)
    let folder = PackFolder()
    let (plain, _) = try PackedModelTests.load(files, PackedModelTests.options(nil))
    for lowMemory in [true, false, true] {
      let (outcome, notes) = try PackedModelTests.load(files, PackedModelTests.options(folder, lowMemory: lowMemory))
      #expect(outcome == plain && notes.isEmpty, "\(notes)")
      #expect(folder.files.count == 2 && folder.names.count == 2)
    }
  }

  /// Each has a file of its own, and none is taken for another's.
  @Test func kernelSetsAndEncoderTypesDoNotMix() throws {
    let files = try Fixture.makeFiles("g1", "F16")
    let folder = PackFolder()
    for _ in 0..<2 {
      for kernel in [nil, "portable"] {
        for type in [ModelOptions.EncoderType.q8_0, .q6_K, .stored] {
          var options = PackedModelTests.options(folder, kernel: kernel)
          var plain = PackedModelTests.options(nil, kernel: kernel)
          (options.encoderType, plain.encoderType) = (type, type)
          let (outcome, notes) = try PackedModelTests.load(files, options)
          #expect(try outcome == PackedModelTests.load(files, plain).0 && notes.isEmpty, "\(notes)")
        }
      }
    }
    // One text file and three encoders for each kernel set.
    let best = try VisionLanguageModel(path: files.text, options: PackedModelTests.options(nil)).kernel
    let sets = best == "portable" ? 1 : 2
    #expect(folder.files.count == 4 * sets)
  }

  /// A pair of its own for a test that changes it, and another one of the same sizes.
  private static func changeable() throws -> (files: (text: String, projector: String?), other: [UInt8]) {
    let source = try Fixture.make("g1", "F16")
    let folder = TemporaryFolder.make()
    let files = (text: "\(folder)/text.gguf", projector: String?.some("\(folder)/mmproj.gguf"))
    try Files.write(try Files.read(source.text), to: files.text)
    try Files.write(try Files.read(source.projector), to: "\(folder)/mmproj.gguf")
    return (files, try Files.read(try Fixture.make("g1", "F16", seed: 77).text))
  }

  enum Change: CaseIterable { case inPlace, inPlaceWithItsOldTime, renamedOver }

  @Test(arguments: Change.allCases) func aChangedModelIsPackedAnew(change: Change) throws {
    let (files, other) = try PackedModelTests.changeable()
    PackFolder.setUse(files.text, 1_000_000)
    let folder = PackFolder()
    let old = try PackedModelTests.load(files, PackedModelTests.options(folder))
    let before = try #require(PackFolder.identity(files.text))
    #expect(other.count == before.size, "nothing but the content tells them apart")
    switch change {
    case .inPlace, .inPlaceWithItsOldTime:
      // The system's clock for files may be coarse: until it has gone on, nobody can see a difference.
      repeat {
        let file = open(files.text, O_WRONLY | O_CLOEXEC)
        #expect(other.withUnsafeBytes { write(file, $0.baseAddress, $0.count) } == other.count)
        close(file)
        if change == .inPlaceWithItsOldTime { PackFolder.setUse(files.text, 1_000_000) }
      } while PackFolder.identity(files.text)?.changed == before.changed
      #expect(PackFolder.identity(files.text)?.inode == before.inode)
      let isOldTime = PackFolder.identity(files.text)?.modified == before.modified
      #expect(isOldTime == (change == .inPlaceWithItsOldTime))
    case .renamedOver:
      try Files.write(other, to: files.text + ".new")
      #expect(rename(files.text + ".new", files.text) == 0)
      PackFolder.setUse(files.text, 1_000_000)
    }
    let plain = try PackedModelTests.load(files, PackedModelTests.options(nil))
    #expect(plain.0 != old.0)
    let new = try PackedModelTests.load(files, PackedModelTests.options(folder))
    #expect(new.0 == plain.0)
    #expect(new.notes.count == 1 && new.notes[0].contains("another version of the model"), "\(new.notes)")
    let again = try PackedModelTests.load(files, PackedModelTests.options(folder))
    #expect(again.0 == plain.0 && again.notes.isEmpty && folder.files.count == 2)
  }

  @Test func aModelLoadsWhateverTheFolderIs() throws {
    let files = try Fixture.makeFiles("g1", "F16")
    let (plain, _) = try PackedModelTests.load(files, PackedModelTests.options(nil))
    let file = "\(TemporaryFolder.make())/file"
    try Files.write([1], to: file)
    for path in ["/proc/occam/cache", file, "\(file)/inside"] {
      for lowMemory in [false, true] {
        let (outcome, notes) = try PackedModelTests.load(
          files, PackedModelTests.options(PackFolder(path), lowMemory: lowMemory))
        #expect(outcome == plain)
        #expect(notes.count == 1 && notes[0].contains("were not kept"), "\(notes)")
      }
    }
  }
}
