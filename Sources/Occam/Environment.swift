import OccamCore

public enum OccamVersion {
  public static let text = "0.1.0"
}

/// Run-time switches for debugging.
public enum OccamEnvironment {
  /// The switches, a line each.
  public static var help: String {
    Switch.allCases.map { "\(pad($0.rawValue, 16, left: true))\($0.help)\n" }.joined()
  }

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
    return text.hasSuffix("\n") ? String(text.dropLast()) : text
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
