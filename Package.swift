// swift-tools-version: 6.2
import PackageDescription

// Every module is one target; the name of a library target carries the prefix Occam.
// What a target may import is written here and checked again, line by line, in Tests/RepositoryTests.

/// Optimised in every configuration: debug SIMD is several hundred times slower. Extern: for the prefetch instruction,
/// which clang offers as a macro only.
func kernelSettings(_ clangFlags: [String]) -> [SwiftSetting] {
  [
    .unsafeFlags(["-Ounchecked", "-wmo"] + clangFlags.flatMap { ["-Xcc", $0] }),
    .enableExperimentalFeature("Extern"),
  ]
}

func module(_ name: String, _ path: String, _ imports: [String], exclude: [String] = []) -> Target {
  .target(name: name, dependencies: imports.map { .byName(name: $0) }, path: path, exclude: exclude)
}

func tool(_ name: String, _ path: String, _ imports: [String]) -> Target {
  .executableTarget(name: name, dependencies: imports.map { .byName(name: $0) }, path: path)
}

func tests(_ module: String, _ imports: [String], resources: [Resource] = []) -> Target {
  .testTarget(
    name: "\(module)Tests", dependencies: (imports + ["OccamTestSupport"]).map { .byName(name: $0) },
    path: "Tests/\(module)Tests", resources: resources)
}

/// The processor to build kernels for. A manifest runs on the host, so whoever builds for another processor names it:
/// OCCAM_TARGET_ARCH=aarch64 or x86_64.
#if arch(arm64)
  let hostProcessor = "aarch64"
#elseif arch(x86_64)
  let hostProcessor = "x86_64"
#else
  let hostProcessor = "other"
#endif
let processor = Context.environment["OCCAM_TARGET_ARCH"] ?? hostProcessor

var kernelTargets: [Target] = [
  .target(
    name: "OccamKernelsPortable", dependencies: ["OccamKernelContract", "OccamQuantFormats"],
    path: "Quant/Kernels/Portable", swiftSettings: kernelSettings([]))
]
if processor == "x86_64" {
  kernelTargets += [
    .target(
      name: "OccamKernelsAVX2", dependencies: ["OccamKernelContract", "OccamQuantFormats"],
      path: "Quant/Kernels/AVX2", swiftSettings: kernelSettings(["-mavx2", "-mfma", "-mf16c"])),
    // What both need is compiled for each: links in AVXVNNI lead to AVX2's files.
    .target(
      name: "OccamKernelsAVXVNNI", dependencies: ["OccamKernelContract", "OccamKernelsAVX2", "OccamQuantFormats"],
      path: "Quant/Kernels/AVXVNNI",
      swiftSettings: kernelSettings(["-mavx2", "-mfma", "-mf16c", "-mavxvnni"])),
    .target(
      name: "OccamKernelsAVX512VNNI", dependencies: ["OccamKernelContract", "OccamQuantFormats"],
      path: "Quant/Kernels/AVX512VNNI",
      swiftSettings: kernelSettings([
        "-mavx2", "-mfma", "-mf16c", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl",
        "-mavx512vnni", "-mprefer-vector-width=512",
      ])),
  ]
} else if processor == "aarch64" {
  // What all need is compiled for each: links lead to NEON's and NEONDot's files.
  kernelTargets += [
    .target(
      name: "OccamKernelsNEON", dependencies: ["OccamKernelContract", "OccamQuantFormats"],
      path: "Quant/Kernels/NEON", swiftSettings: kernelSettings([])),
    .target(
      name: "OccamKernelsNEONDot", dependencies: ["OccamKernelContract", "OccamKernelsNEON", "OccamQuantFormats"],
      path: "Quant/Kernels/NEONDot", swiftSettings: kernelSettings(["-march=armv8.2-a+dotprod"])),
    .target(
      name: "OccamKernelsNEONI8MM", dependencies: ["OccamKernelContract", "OccamKernelsNEON", "OccamQuantFormats"],
      path: "Quant/Kernels/NEONI8MM", swiftSettings: kernelSettings(["-march=armv8.2-a+dotprod+i8mm"])),
  ]
}

let package = Package(
  name: "Occam",
  products: [
    .library(name: "Occam", targets: ["Occam"]),
    .executable(name: "occam-run", targets: ["occam-run"]),
    .executable(name: "occam-serve", targets: ["occam-serve"]),
    .executable(name: "occam-bench", targets: ["occam-bench"]),
    .executable(name: "occam-eval", targets: ["occam-eval"]),
    .executable(name: "occam-quantize", targets: ["occam-quantize"]),
    .executable(name: "occam-calibrate", targets: ["occam-calibrate"]),
    .executable(name: "occam-fixture", targets: ["occam-fixture"]),
    .executable(name: "kernel-bench", targets: ["kernel-bench"]),
  ],
  traits: [
    .trait(
      name: "OpenMP", description: "Parallel steps run on libomp (Debian: libomp-dev) instead of Occam's own threads.")
  ],
  targets: kernelTargets + [
    .target(
      name: "OccamCore", path: "Sources/Core",
      // For the processor's spin-wait hint, an LLVM intrinsic.
      swiftSettings: [
        .enableExperimentalFeature("Extern"), .define("OCCAM_OPENMP", .when(traits: ["OpenMP"])),
      ],
      // The library by its full name: Debian keeps the short one in a folder that linkers do not search.
      linkerSettings: [.linkedLibrary(":libomp.so.5", .when(traits: ["OpenMP"]))]),
    module("OccamGGUF", "Sources/GGUF", ["OccamCore"]),
    module("OccamTokenizer", "Sources/Tokenizer", ["OccamCore", "OccamGGUF"]),
    module("OccamImages", "Sources/Images", ["OccamCore"]),
    module("OccamQuantFormats", "Quant/Formats", ["OccamCore"]),
    module("OccamQuantizer", "Quant/Quantizer", ["OccamCore", "OccamGGUF", "OccamQuantFormats"]),
    .target(
      name: "OccamKernelContract", dependencies: ["OccamQuantFormats"],
      path: "Quant/Kernels/Contract", swiftSettings: kernelSettings([])),
    module(
      "OccamMatmul", "Quant/Matmul",
      ["OccamCore", "OccamQuantFormats", "OccamKernelContract"] + kernelTargets.map(\.name)),
    module("OccamPackCache", "Quant/PackCache", ["OccamCore"]),
    module("OccamTensors", "Sources/Tensors", ["OccamCore", "OccamQuantFormats", "OccamMatmul"]),
    module("OccamPruning", "Sources/Pruning", ["OccamCore"], exclude: ["DECISIONS.md"]),
    module(
      "OccamModels", "Models/Architectures",
      [
        "OccamCore", "OccamGGUF", "OccamQuantFormats", "OccamMatmul", "OccamTensors", "OccamImages",
        "OccamPruning",
      ]),
    .target(
      name: "OccamFixtures", dependencies: ["OccamCore", "OccamGGUF", "OccamQuantFormats"],
      path: "Models/Fixtures", exclude: ["FORMAT.md"]),
    module(
      "Occam", "Sources/Occam",
      [
        "OccamCore", "OccamGGUF", "OccamTokenizer", "OccamImages", "OccamQuantFormats",
        "OccamMatmul", "OccamPackCache", "OccamTensors", "OccamPruning", "OccamModels", "OccamGrammar",
      ]),
    module("OccamGrammar", "Sources/Grammar", ["OccamCore"]),
    // Extern: for epoll, which the toolchain's Glibc module leaves out.
    .target(
      name: "OccamHTTP", dependencies: ["OccamCore"], path: "Sources/HTTP",
      swiftSettings: [.enableExperimentalFeature("Extern")]),
    module("OccamService", "Sources/Service", ["Occam", "OccamCore", "OccamHTTP"], exclude: ["README.md"]),
    module("OccamCommandLine", "Sources/CommandLine", ["OccamCore"]),
    tool("occam-run", "Sources/occam-run", ["Occam", "OccamCommandLine"]),
    .executableTarget(
      name: "occam-serve", dependencies: ["Occam", "OccamHTTP", "OccamService", "OccamCommandLine"],
      path: "Sources/occam-serve", exclude: ["Deploy"], resources: [.embedInCode("index.html")],
      // For two functions of the allocator, which the toolchain's Glibc module leaves out.
      swiftSettings: [.enableExperimentalFeature("Extern")]),
    tool("occam-calibrate", "Sources/occam-calibrate", ["Occam", "OccamCommandLine"]),
    tool("occam-bench", "bench/occam-bench", ["Occam", "OccamFixtures", "OccamCommandLine"]),
    tool(
      "kernel-bench", "bench/kernel-bench",
      ["OccamCore", "OccamQuantFormats", "OccamMatmul", "OccamTensors", "OccamCommandLine"]),
    module(
      "OccamEvalKit", "bench/EvalKit", ["Occam", "OccamCore", "OccamModels", "OccamPruning", "OccamCommandLine"]),
    tool("occam-eval", "bench/occam-eval", ["Occam", "OccamEvalKit", "OccamCommandLine"]),
    tool("count-bench", "bench/count-bench", ["Occam"]),
    tool(
      "occam-quantize", "Quant/occam-quantize",
      ["OccamCore", "OccamQuantFormats", "OccamQuantizer", "OccamCommandLine"]),
    tool("occam-fixture", "Models/occam-fixture", ["OccamFixtures"]),

    .target(
      name: "OccamTestSupport",
      dependencies: ["OccamCore", "OccamGGUF", "OccamHTTP", "OccamQuantFormats", "OccamFixtures"],
      path: "Tests/TestSupport"),
    tests("Core", ["OccamCore"]),
    tests("GGUF", ["OccamCore", "OccamGGUF"]),
    tests("Tokenizer", ["OccamCore", "OccamGGUF", "OccamTokenizer"]),
    tests("Images", ["OccamCore", "OccamImages"]),
    tests("Quant", ["OccamCore", "OccamGGUF", "OccamQuantFormats", "OccamQuantizer", "OccamMatmul"]),
    tests("PackCache", ["Occam", "OccamCore", "OccamPackCache", "OccamPruning"]),
    tests("Tensors", ["OccamCore", "OccamMatmul", "OccamTensors"]),
    tests("Pruning", ["OccamCore", "OccamPruning"]),
    tests(
      "Models",
      [
        "OccamCore", "OccamGGUF", "OccamImages", "OccamMatmul", "OccamTensors", "OccamPruning", "OccamModels",
        "OccamFixtures", "Occam",
      ]),
    tests("HTTP", ["OccamCore", "OccamHTTP"]),
    tests("Grammar", ["Occam", "OccamCore", "OccamGGUF", "OccamTokenizer", "OccamGrammar"]),
    tests("Service", ["Occam", "OccamCore", "OccamHTTP", "OccamService"]),
    tests("CommandLine", ["Occam", "OccamCore", "OccamCommandLine", "OccamFixtures"]),
    tests(
      "Fixtures",
      [
        "OccamCore", "OccamGGUF", "OccamQuantFormats", "OccamTensors", "OccamFixtures", "OccamModels", "Occam",
        "OccamCommandLine",
      ]),
    tests(
      "Occam",
      ["Occam", "OccamCommandLine", "OccamCore", "OccamGGUF", "OccamImages", "OccamModels", "OccamTokenizer"]),
    tests(
      "EndToEnd",
      [
        "Occam", "OccamModels", "OccamCore", "OccamGGUF", "OccamImages", "OccamMatmul", "OccamTensors",
        "OccamTokenizer", "OccamPruning", "OccamQuantFormats",
      ]),
    tests(
      "Eval",
      [
        "Occam", "OccamEvalKit", "OccamCommandLine", "OccamCore", "OccamGGUF", "OccamPruning",
      ]),
    tests("Repository", ["OccamCore"]),
  ],
  swiftLanguageModes: [.v6]
)
