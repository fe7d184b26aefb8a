import Glibc
import OccamCore
import OccamTestSupport

/// The pair of the README's first command, and damaged copies of it.
enum DemoModel {
  static let photo = "\(Locations.photos)/cat.jpg"

  /// -m and -mm of a whole pair.
  static func flags() throws -> [String] {
    let files = try Fixture.make("demo", "F16")
    return ["-m", files.text, "-mm", files.projector]
  }

  enum Part { case text, projector }

  /// -m and -mm of a pair of which one file's bytes were changed.
  static func flags(changing part: Part, _ change: (inout [UInt8]) throws -> Void) throws -> [String] {
    let files = try Fixture.make("demo", "F16")
    let path = "\(TemporaryFolder.make())/changed.gguf"
    var bytes = try Files.read(part == .text ? files.text : files.projector)
    try change(&bytes)
    try Files.write(bytes, to: path)
    return part == .text ? ["-m", path, "-mm", files.projector] : ["-m", files.text, "-mm", path]
  }

  /// A new file with `bytes`.
  static func file(_ name: String, _ bytes: some Sequence<UInt8>) throws -> String {
    let path = "\(TemporaryFolder.make())/\(name)"
    try Files.write(Array(bytes), to: path)
    return path
  }
}

extension [UInt8] {
  /// Where `text` ends for the first time, from `start` on.
  func end(of text: String, from start: Int = 0) throws -> Int {
    let wanted = Array(text.utf8)
    for index in start..<Swift.max(start, count - wanted.count)
    where self[index..<index + wanted.count].elementsEqual(wanted) {
      return index + wanted.count
    }
    throw TestFailure(description: "the fixture does not contain '\(text)'")
  }

  /// Replaces the first occurrence; both of one length.
  mutating func replace(_ old: String, with new: String) throws {
    let end = try end(of: old)
    replaceSubrange(end - old.utf8.count..<end, with: new.utf8)
  }

  mutating func set(_ value: UInt32, at place: Int) {
    for byte in 0..<4 { self[place + byte] = UInt8(truncatingIfNeeded: value >> (8 * byte)) }
  }

  /// Changes a tensor's record behind its name: count of dimensions, dimensions, type, offset.
  mutating func setDimension(_ index: Int, of tensor: String, to value: UInt32) throws {
    set(value, at: try end(of: tensor) + 4 + 8 * index)
  }

  mutating func setType(_ type: UInt32, of tensor: String) throws {
    let record = try end(of: tensor)
    set(type, at: record + 4 + 8 * Int(self[record]))
  }

  /// Changes a 32-bit number of the metadata.
  mutating func setKey(_ key: String, to value: UInt32) throws { set(value, at: try end(of: key) + 4) }
}
