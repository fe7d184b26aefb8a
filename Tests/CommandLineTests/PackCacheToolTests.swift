import Glibc
import Occam
import OccamCommandLine
import OccamCore
import OccamFixtures
import OccamTestSupport
import Testing

/// Packed weights between processes: killed ones, several at a time, ones that may not write.
@Suite(.serialized, .enabled(if: BuiltTool.areBuilt, BuiltTool.reason)) struct PackCacheToolTests {
  private static let temporary = ".occampack-tmp"
  private static let question = ["-p", "What is this?", "-n", "4", "--temp", "0", "--ignore-eos"]

  private static func files(_ folder: String, _ suffix: String) -> [String] {
    Files.list(folder).filter { $0.hasSuffix(suffix) }
  }

  private static func flags(_ model: [String], _ folder: String?) -> [String] {
    model + question + (folder.map { ["--pack-cache", $0] } ?? [])
  }

  /// What the model says without a cache.
  private static func answer(_ model: [String]) throws -> String {
    let result = try BuiltTool.run("occam-run", flags(model, nil))
    #expect(result.code == 0 && !result.text.isEmpty, "\(result.error)")
    return result.text
  }

  /// A text model whose packed weights, 60 MB, take a while to write.
  private static func largeModel() throws -> [String] {
    var spec = try #require(FixtureSpec.named("g1"))
    (spec.text.width, spec.text.feedForward) = (1024, 4096)
    spec.vision = .absent
    return ["-m", try spec.write(to: TemporaryFolder.make(), type: .q8_0).text]
  }

  /// Killed at whatever byte: nothing of it is taken for weights, what is left goes with the next file that is written.
  @Test func aKilledWriterLeavesNothingTorn() throws {
    let model = try PackCacheToolTests.largeModel()
    let answer = try PackCacheToolTests.answer(model)
    let folder = "\(TemporaryFolder.make())/cache"
    var killed = 0
    // A process that is done before it is seen writing counts for nothing, and is tried again.
    for attempt in 0..<40 where killed < 4 {
      let before = Set(PackCacheToolTests.files(folder, PackCacheToolTests.temporary))
      func writes() -> Bool {
        !Set(PackCacheToolTests.files(folder, PackCacheToolTests.temporary)).subtracting(before).isEmpty
      }
      func isDone() -> Bool { !PackCacheToolTests.files(folder, ".occampack").isEmpty }
      let process = try ToolProcess("occam-run", PackCacheToolTests.flags(model, folder))
      try waiting("a file in the cache") { writes() || isDone() }
      usleep(useconds_t(attempt * 700))
      process.send(SIGSTOP)
      let isWriting = writes() && !isDone()
      process.send(SIGKILL)
      #expect(process.wait() == 128 + SIGKILL || !isWriting)
      guard isWriting else {
        for name in Files.list(folder) { unlink("\(folder)/\(name)") }
        continue
      }
      killed += 1
      #expect(Files.list(folder).count == 1, "what those before left is gone")
    }
    #expect(killed > 0, "no process was seen writing")
    for _ in 0..<2 {
      let result = try BuiltTool.run("occam-run", PackCacheToolTests.flags(model, folder))
      #expect(result.code == 0 && result.text == answer && !result.error.contains("pack"), "\(result.error)")
      #expect(Files.list(folder).count == 1 && PackCacheToolTests.files(folder, ".occampack").count == 1)
    }
    let checked = try PackCacheToolTests.checked(model, folder)
    #expect(checked.text == answer && !checked.error.contains("pack"), "\(checked.error)")
  }

  /// With every byte of the cache compared.
  private static func checked(_ model: [String], _ folder: String) throws -> ToolResult {
    try BuiltTool.run(
      "/usr/bin/env", ["OCCAM_PACK_CHECK=1", BuiltTools.path("occam-run")] + PackCacheToolTests.flags(model, folder))
  }

  @Test func severalProcessesAtOnce() throws {
    let model = try DemoModel.flags() + ["--image", DemoModel.photo]
    let answer = try PackCacheToolTests.answer(model)
    let folder = "\(TemporaryFolder.make())/cache"
    for _ in 0..<3 {
      let processes = try (0..<3).map { _ in
        try ToolProcess("occam-run", PackCacheToolTests.flags(model, folder))
      }
      for process in processes {
        #expect(process.wait() == 0, "\(process.error)")
        #expect(String(decoding: process.output, as: UTF8.self) == answer)
        #expect(!process.error.contains("pack"), "\(process.error)")
      }
      #expect(Files.list(folder).count == 2 && PackCacheToolTests.files(folder, ".occampack").count == 2)
      let checked = try PackCacheToolTests.checked(model, folder)
      #expect(checked.code == 0 && checked.text == answer && !checked.error.contains("pack"), "\(checked.error)")
      for name in Files.list(folder) { unlink("\(folder)/\(name)") }
    }
  }

  /// The system ends a process that writes more than it may (SIGXFSZ): it must not come to that.
  @Test func aLimitOfFileSizeIsANote() throws {
    let model = try DemoModel.flags() + ["--image", DemoModel.photo]
    let answer = try PackCacheToolTests.answer(model)
    let folder = "\(TemporaryFolder.make())/cache"
    let command = ["-c", "ulimit -f 64; exec \"$@\"", "sh"] + BuiltTools.command("occam-run")
    let result = try BuiltTool.run("/bin/sh", command + PackCacheToolTests.flags(model, folder))
    #expect(result.code == 0 && result.text == answer, "\(result.error)")
    #expect(result.error.contains("were not kept") && result.error.contains("not allowed"), "\(result.error)")
    #expect(Files.list(folder).isEmpty)
  }

  @Test func aDamagedFileIsNamedAndWrittenAnew() throws {
    let model = try DemoModel.flags() + ["--image", DemoModel.photo]
    let answer = try PackCacheToolTests.answer(model)
    let folder = "\(TemporaryFolder.make())/cache"
    #expect(try BuiltTool.run("occam-run", PackCacheToolTests.flags(model, folder)).code == 0)
    let name = try #require(PackCacheToolTests.files(folder, ".occampack").first)
    var bytes = try Files.read("\(folder)/\(name)")
    bytes.removeLast(bytes.count / 2)
    try Files.write(bytes, to: "\(folder)/\(name)")
    let torn = try BuiltTool.run("occam-run", PackCacheToolTests.flags(model, folder))
    #expect(torn.code == 0 && torn.text == answer)
    #expect(torn.error.contains(name) && torn.error.contains("torn"), "\(torn.error)")
    // A bit of a weight, which is seen where it is asked for.
    bytes = try Files.read("\(folder)/\(name)")
    bytes[bytes.count - 5000] ^= 1
    try Files.write(bytes, to: "\(folder)/\(name)")
    let checked = try PackCacheToolTests.checked(model, folder)
    #expect(checked.code == 0 && checked.text == answer)
    #expect(checked.error.contains(name) && checked.error.contains("damaged"), "\(checked.error)")
    let after = try PackCacheToolTests.checked(model, folder)
    #expect(after.text == answer && !after.error.contains("pack"), "\(after.error)")
  }

  @Test func theFoldersSizeIsAFlag() throws {
    #expect(LoadingFlags.packCacheSize.fallback.map { $0 << 20 } == ModelOptions.defaultPackCacheBytes)
    let model = try PackCacheToolTests.largeModel()
    let folder = "\(TemporaryFolder.make())/cache"
    let result = try BuiltTool.run(
      "occam-run", PackCacheToolTests.flags(model, folder) + ["--pack-cache-size", "1"])
    #expect(result.code == 0 && result.error.contains("more than the cache may hold (1048576)"), "\(result.error)")
    #expect(Files.list(folder).isEmpty)
    let bench = ["-m", model[1], "-p", "4", "-n", "0", "-r", "1", "--pack-cache", folder]
    #expect(try BuiltTool.run("occam-bench", bench).code == 0)
    #expect(PackCacheToolTests.files(folder, ".occampack").count == 1)
  }

  /// The encoder is in memory while a picture is encoded, and no longer.
  @Test func lowMemoryAnswersTheSame() throws {
    let model = try DemoModel.flags() + ["--image", DemoModel.photo]
    let answer = try PackCacheToolTests.answer(model)
    let folder = "\(TemporaryFolder.make())/cache"
    for cache in [nil, folder, folder] {
      let result = try BuiltTool.run("occam-run", PackCacheToolTests.flags(model, cache) + ["--low-memory"])
      #expect(result.code == 0 && result.text == answer && !result.error.contains("pack"), "\(result.error)")
    }
    #expect(PackCacheToolTests.files(folder, ".occampack").count == 2)
    let plan = try BuiltTool.run("occam-run", try DemoModel.flags() + ["--dry-run", "--low-memory"])
    #expect(plan.code == 0 && plan.text.contains("MiB  while pictures are encoded"), "\(plan.text)")
  }
}
