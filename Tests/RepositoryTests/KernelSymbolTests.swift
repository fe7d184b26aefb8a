import Glibc
import OccamCore
import Testing

/// A kernel target is compiled for instructions that the running processor may lack. Whatever else the linker may pick
/// from its objects - weak copies of generic code of other modules - would smuggle those instructions into baseline code.
@Suite struct KernelSymbolTests {
  static let folders = ["release", "debug"].map { "\(RepositoryTests.root)/.build/\($0)" }

  static func objects(_ module: String) -> [String] {
    folders.flatMap { folder in
      Files.list("\(folder)/\(module).build").filter { $0.hasSuffix(".o") }.map { "\(folder)/\(module).build/\($0)" }
    }
  }

  /// A build for `@testable` imports keeps generic code that no product holds; the command that compiled a kernel target,
  /// in the build's manifest, tells.
  static let isTestableBuild = ["release", "debug"].contains { name in
    guard let manifest = try? Files.read("\(RepositoryTests.root)/.build/\(name).yaml") else { return false }
    return manifest.split(separator: 10).contains { line in
      let text = String(decoding: line, as: UTF8.self)
      return text.contains("\"-module-name\",\"OccamKernelsPortable\"") && text.contains("\"-enable-testing\"")
    }
  }

  /// The kernel targets with instructions of their own.
  #if arch(x86_64)
    static let modules = ["OccamKernelsAVX2", "OccamKernelsAVXVNNI", "OccamKernelsAVX512VNNI"]
  #else
    static let modules = ["OccamKernelsNEON", "OccamKernelsNEONDot", "OccamKernelsNEONI8MM"]
  #endif

  @Test(
    .enabled(if: modules.contains { !objects($0).isEmpty }, "kernels for this processor were not built here"),
    .enabled(if: !isTestableBuild, "built for testable imports: run with --disable-testable-imports"),
    arguments: modules)
  func weakFunctionsAreTheModulesOwn(module: String) throws {
    let objects = KernelSymbolTests.objects(module)
    #expect(!objects.isEmpty)
    for path in objects {
      let symbols = try ELFSymbols(try Files.read(path))
      for name in symbols.weakFunctions {
        let readable = demangled(name)
        #expect(readable.contains(module), "\(path) defines the weak function \(readable)")
      }
    }
  }

  @Test func readerFindsFunctionsOfAnObject() throws {
    let path = try #require(KernelSymbolTests.objects("OccamCore").first)
    #expect(try !ELFSymbols(try Files.read(path)).functions.isEmpty)
  }
}

/// The mangled name alone abbreviates words that occurred before, a module's name among them.
private func demangled(_ name: String) -> String {
  guard let text = swiftDemangle(name, UInt(name.utf8.count), nil, nil, 0) else { return name }
  defer { free(text) }
  return String(cString: text)
}

/// The Swift runtime's own demangler; the result is allocated with malloc.
@_silgen_name("swift_demangle")
private func swiftDemangle(
  _ name: UnsafePointer<CChar>, _ length: UInt, _ buffer: UnsafeMutablePointer<CChar>?,
  _ size: UnsafeMutablePointer<UInt>?, _ flags: UInt32
) -> UnsafeMutablePointer<CChar>?

/// Function symbols that a 64-bit little-endian ELF object defines (System V ABI, chapter 4).
struct ELFSymbols {
  struct Malformed: Error {}
  private(set) var functions: [String] = []
  private(set) var weakFunctions: [String] = []

  init(_ bytes: [UInt8]) throws {
    guard bytes.count > 64, bytes[0..<6] == [0x7F, 0x45, 0x4C, 0x46, 2, 1] else { throw Malformed() }
    func read(_ offset: Int, _ size: Int) throws -> Int {
      guard offset >= 0, offset + size <= bytes.count else { throw Malformed() }
      return (0..<size).reduce(0) { $0 | Int(bytes[offset + $1]) << (8 * $1) }
    }
    let table = try read(40, 8)
    let size = try read(58, 2)
    for index in 0..<(try read(60, 2)) {
      let header = table + index * size
      guard try read(header + 4, 4) == 2 else { continue }  // SHT_SYMTAB
      let strings = try read(table + (try read(header + 40, 4)) * size + 24, 8)
      let first = try read(header + 24, 8)
      let count = try read(header + 32, 8) / 24
      for symbol in 0..<count {
        let entry = first + symbol * 24
        let info = bytes[entry + 4]
        let isDefined = try read(entry + 6, 2) != 0
        guard isDefined, info & 15 == 2 else { continue }  // STT_FUNC
        var end = strings + (try read(entry, 4))
        let start = end
        while end < bytes.count, bytes[end] != 0 { end += 1 }
        let name = String(decoding: bytes[start..<end], as: UTF8.self)
        functions.append(name)
        if info >> 4 == 2 { weakFunctions.append(name) }  // STB_WEAK
      }
    }
  }
}
