import Glibc
import OccamCore
import OccamImages

public enum OccamVersion {
  public static let text = Release.version
}

/// Run-time switches for debugging.
public enum OccamEnvironment {
  /// The switches, a line each.
  public static var help: String {
    Switch.allCases.map { "\(pad($0.rawValue, 18, left: true))\($0.help)\n" }.joined()
  }

  /// Sets OCCAM_TIMING for this process; call it before anything is computed.
  package static func enableTimings() { setenv(Switch.timing.rawValue, "1", 1) }

  /// With OCCAM_TIMING=1, time per operation to stderr.
  public static func printTimings() {
    if let table = TimingTable.shared { Log.line(table.table()) }
  }
}

/// Small helpers the tools share with the library, so that they need none of its rooms.
public enum TextFile {
  /// - Parameter path: `-` reads standard input. A final line break is not part of the text.
  public static func read(_ path: String) throws(OccamError) -> String {
    let bytes = try translating(path) { try Files.read(path, limit: 64 << 20) }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw OccamError(.invalidOption, path == "-" ? "standard input" : path, "is not UTF-8 text")
    }
    // "\r\n" is one character.
    return text.last == "\n" || text.last == "\r\n" ? String(text.dropLast()) : text
  }

  /// The lines of a file that say something, without the spaces round them.
  public static func lines(_ path: String) throws(OccamError) -> [String] {
    try read(path).split(whereSeparator: \.isNewline).compactMap { line in
      let words = line.drop(while: \.isWhitespace)
      guard let end = words.lastIndex(where: { !$0.isWhitespace }) else { return nil }
      return String(words[...end])
    }
  }

  /// Refuses a file that cannot be written, before the work for it is done.
  public static func checkWritable(_ path: String) throws(OccamError) {
    try translating(path) { try Files.checkWritable(path) }
  }

  /// Whole or not at all.
  public static func write(_ bytes: [UInt8], to path: String) throws(OccamError) {
    try translating(path) { try Files.write(bytes, to: path) }
  }
}

public enum Number {
  /// Decimal text with exactly `digits` places.
  public static func text(_ value: Double, _ digits: Int) -> String { fixed(value, digits) }
}

/// A photo's file.
public enum PhotoFile {
  /// Reads a file and refuses at once what is no picture of a known kind; the pixels are decoded when they are needed.
  /// - Parameter path: `-` reads standard input.
  public static func read(_ path: String) throws(OccamError) -> ImageSource {
    let source = ImageSource.file(path)
    let bytes = try ImagePipeline.read(source)
    try translating(source.name) { try checkSignature(bytes, subject: source.name) }
    return .bytes(bytes, name: source.name)
  }
}

/// The photos of a folder.
public enum PhotoFolder {
  /// Paths of the pictures, sorted by name.
  public static func list(_ folder: String) throws(OccamError) -> [String] {
    let names = Files.list(folder).filter { name in
      [".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"].contains { name.lowercased().hasSuffix($0) }
    }
    guard !names.isEmpty else {
      throw OccamError(.file, folder, "holds no picture (JPEG, PNG, WebP, GIF, BMP), or cannot be read")
    }
    return names.map { "\(folder)/\($0)" }
  }
}

/// Facts of this process, for the tools.
public enum OccamProcess {
  /// What the process has in memory now.
  public static var residentBytes: Int { ProcessMemory.residentBytes() }

  public static var peakResidentBytes: Int { ProcessMemory.peakResidentBytes() }

  /// The least memory limit of the process's control groups, as containers and systemd set them; nil: none.
  public static var groupLimitBytes: Int? { ProcessMemory.groupLimit() }

  /// Starts the measure anew, where the system allows it. - Returns: whether it does.
  @discardableResult
  public static func resetPeakResidentBytes() -> Bool { ProcessMemory.resetPeak() }

  /// HOME, if it is set.
  public static var homeFolder: String? { getenv("HOME").map { String(cString: $0) } }

  /// - Parameter path: `-` reads standard input.
  public static func readFile(_ path: String) throws(OccamError) -> [UInt8] {
    try translating(path) { try Files.read(path) }
  }
}
