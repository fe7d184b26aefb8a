import Glibc
import OccamCore
import Testing

/// Rules of the house that a compiler does not check.
@Suite struct RepositoryTests {
  static let root = String(#filePath.dropLast("/Tests/RepositoryTests/RepositoryTests.swift".count))

  /// Folder -> modules its files may import. The system's own: Glibc, Dispatch, Synchronization.
  static let allowed: [(folder: String, modules: Set<String>)] = [
    ("Sources/Core", ["Glibc", "Dispatch", "Synchronization"]),
    ("Sources/GGUF", ["Glibc", "OccamCore"]),
    ("Sources/Tokenizer", ["Glibc", "OccamCore", "OccamGGUF"]),
    ("Sources/Images", ["Glibc", "OccamCore"]),
    ("Quant/Formats", ["Glibc", "OccamCore"]),
    ("Quant/Kernels/Contract", ["OccamQuantFormats"]),
    ("Quant/Kernels/Portable", ["OccamKernelContract", "OccamQuantFormats"]),
    (
      "Quant/Kernels/AVX2",
      ["OccamKernelContract", "OccamQuantFormats", "_Builtin_intrinsics.intel"]
    ),
    (
      "Quant/Kernels/AVXVNNI",
      ["OccamKernelContract", "OccamQuantFormats", "OccamKernelsAVX2", "_Builtin_intrinsics.intel"]
    ),
    (
      "Quant/Kernels/AVX512VNNI",
      ["OccamKernelContract", "OccamQuantFormats", "_Builtin_intrinsics.intel"]
    ),
    ("Quant/Kernels/NEON", ["OccamKernelContract", "OccamQuantFormats", "_Builtin_intrinsics.arm.neon"]),
    (
      "Quant/Kernels/NEONDot",
      ["OccamKernelContract", "OccamQuantFormats", "OccamKernelsNEON", "_Builtin_intrinsics.arm.neon"]
    ),
    (
      "Quant/Kernels/NEONI8MM",
      ["OccamKernelContract", "OccamQuantFormats", "OccamKernelsNEON", "_Builtin_intrinsics.arm.neon"]
    ),
    (
      "Quant/Matmul",
      [
        "Glibc", "Synchronization", "OccamCore", "OccamQuantFormats", "OccamKernelContract", "OccamKernelsPortable",
        "OccamKernelsAVX2", "OccamKernelsAVXVNNI", "OccamKernelsAVX512VNNI", "OccamKernelsNEON", "OccamKernelsNEONDot",
        "OccamKernelsNEONI8MM", "_Builtin_intrinsics.intel", "_Builtin_intrinsics.intel.cpuid",
      ]
    ),
    ("Quant/PackCache", ["Glibc", "OccamCore"]),
    ("Quant/Quantizer", ["Glibc", "Synchronization", "OccamCore", "OccamGGUF", "OccamQuantFormats"]),
    (
      "Sources/Tensors",
      ["Glibc", "Synchronization", "OccamCore", "OccamQuantFormats", "OccamMatmul", "OccamKernelContract"]
    ),
    ("Sources/Pruning", ["Glibc", "OccamCore"]),
    (
      "Models/Architectures",
      [
        "OccamCore", "OccamGGUF", "OccamQuantFormats", "OccamMatmul", "OccamTensors", "OccamImages", "OccamPruning",
      ]
    ),
    ("Models/Fixtures", ["Glibc", "OccamCore", "OccamGGUF", "OccamQuantFormats"]),
    (
      "Sources/Occam",
      [
        "Glibc", "Dispatch", "Synchronization", "OccamCore", "OccamGGUF", "OccamTokenizer", "OccamImages",
        "OccamQuantFormats", "OccamMatmul", "OccamPackCache", "OccamTensors", "OccamPruning", "OccamModels",
        "OccamGrammar",
      ]
    ),
    ("Sources/Grammar", ["Glibc", "OccamCore"]),
    ("Sources/HTTP", ["Glibc", "OccamCore"]),
    ("Sources/Service", ["Glibc", "Dispatch", "Occam", "OccamCore", "OccamHTTP"]),
    (
      "Sources/occam-serve",
      ["Glibc", "Dispatch", "Synchronization", "Occam", "OccamCommandLine", "OccamHTTP", "OccamService"]
    ),
    ("Sources/CommandLine", ["Glibc", "Dispatch", "Synchronization", "OccamCore"]),
    ("Sources/occam-run", ["Glibc", "Dispatch", "Synchronization", "Occam", "OccamCommandLine"]),
    ("Sources/occam-calibrate", ["Glibc", "Synchronization", "Occam", "OccamCommandLine"]),
    ("bench/count-bench", ["Glibc", "Occam"]),
    ("bench/EvalKit", ["Glibc", "Occam", "OccamCommandLine", "OccamCore", "OccamModels", "OccamPruning"]),
    ("bench/occam-eval", ["Glibc", "Occam", "OccamCommandLine", "OccamEvalKit"]),
    ("bench/occam-bench", ["Glibc", "Occam", "OccamFixtures", "OccamCommandLine"]),
  ]

  @Test(arguments: allowed.map(\.folder)) func importsFollowTheDesign(folder: String) throws {
    let modules = try #require(RepositoryTests.allowed.first { $0.folder == folder }).modules
    let files = RepositoryTests.swiftFiles(folder)
    #expect(!files.isEmpty, "\(folder) holds no Swift file")
    for file in files {
      for module in RepositoryTests.imports(file) {
        #expect(modules.contains(module), "\(file) imports \(module)")
      }
    }
  }

  @Test func everyLibraryFolderHasRules() {
    let ruled = Set(RepositoryTests.allowed.map(\.folder))
    for parent in ["Sources", "Quant", "Quant/Kernels"] {
      for name in Files.list("\(RepositoryTests.root)/\(parent)") {
        let folder = "\(parent)/\(name)"
        if folder == "Quant/Kernels" || folder == "Quant/occam-quantize" { continue }
        if RepositoryTests.swiftFiles(folder).isEmpty { continue }
        #expect(ruled.contains(folder), "\(folder) has no import rules")
      }
    }
  }

  @Test(arguments: ["Sources", "Quant", "Models", "bench", "Tests"]) func filesStayShort(folder: String) throws {
    for file in RepositoryTests.swiftFiles(folder) {
      let lines = try RepositoryTests.text(file).split(separator: "\n", omittingEmptySubsequences: false).count
      #expect(lines <= 600, "\(file) has \(lines) lines")
    }
  }

  @Test func documentsStayShort() throws {
    for file in ["README.md", "ARCHITECTURE.md"] {
      let lines = try RepositoryTests.text("\(RepositoryTests.root)/\(file)").split(
        separator: "\n", omittingEmptySubsequences: false
      ).count
      #expect(lines <= 151, "\(file) has \(lines) lines")
    }
  }

  @Test func onlyTheDesignedFoldersStandAtTheTop() {
    let known: Set<String> = [
      "Package.swift", "Sources", "Tests", "Models", "Quant", "bench", "README.md", "ARCHITECTURE.md", "CHANGELOG.md",
      "CONTRIBUTING.md", "LICENSE", "Package.resolved",
    ]
    for name in Files.list(RepositoryTests.root) where !name.hasPrefix(".") {
      #expect(known.contains(name), "\(name) stands at the top of the repository")
    }
  }

  // MARK: Reading the tree

  static func swiftFiles(_ folder: String) -> [String] {
    var found: [String] = []
    var queue = ["\(root)/\(folder)"]
    while let path = queue.popLast() {
      for name in Files.list(path) {
        let child = "\(path)/\(name)"
        if name.hasSuffix(".swift") {
          found.append(child)
        } else if isFolder(child) {
          queue.append(child)
        }
      }
    }
    return found.sorted()
  }

  static func isFolder(_ path: String) -> Bool {
    var status = stat()
    return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  static func text(_ path: String) throws -> String { String(decoding: try Files.read(path), as: UTF8.self) }

  /// Modules named by the file's import lines, attributes and kinds left out.
  static func imports(_ path: String) -> [String] {
    guard let text = try? text(path) else { return [] }
    return text.split(separator: "\n").compactMap { line in
      let words = line.split(separator: " ").filter { !$0.hasPrefix("@") && $0 != "package" && $0 != "internal" }
      guard words.first == "import", words.count > 1 else { return nil }
      return words[1] == "struct" || words[1] == "func" ? words.dropFirst(2).first.map(String.init) : String(words[1])
    }
  }
}
