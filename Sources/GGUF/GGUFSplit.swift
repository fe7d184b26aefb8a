import OccamCore

/// What a file says of itself as one of several that hold a model: `NAME-00001-of-00002.gguf` and so on, as llama.cpp's
/// gguf-split writes them. The first has the metadata; each has its tensors and their bytes.
struct GGUFSplit {
  enum Key {
    static let number = "split.no"
    static let count = "split.count"
    static let tensors = "split.tensors.count"
  }

  /// From 0.
  let number: Int
  /// At least 2.
  let count: Int
  /// Of all parts.
  let tensors: Int

  /// nil for a file that is a model by itself.
  init?(_ parser: GGUFParser) throws(GGUFError) {
    let metadata = parser.metadata
    func integer(_ key: String) throws(GGUFError) -> Int? {
      guard let value = metadata[key] else { return nil }
      guard let number = value.integer else {
        throw GGUFError(parser.subject, .key(key), .wrongType(expected: "integer", found: value.typeName))
      }
      return number
    }
    func required(_ key: String) throws(GGUFError) -> Int {
      guard let value = try integer(key) else { throw GGUFError(parser.subject, .key(key), .missing) }
      return value
    }
    guard let count = try integer(Key.count), count > 1 else { return nil }
    guard count <= parser.limits.parts else {
      throw GGUFError(
        parser.subject, .key(Key.count),
        .overLimit(what: "part count", value: UInt64(count), limit: parser.limits.parts))
    }
    number = try required(Key.number)
    self.count = count
    tensors = try required(Key.tensors)
    guard (0..<count).contains(number) else {
      throw GGUFError(parser.subject, .key(Key.number), .outOfRange("\(number)"))
    }
  }

  /// How the name of part `number` (from 1) ends.
  static func suffix(_ number: Int, _ count: Int) -> String {
    func digits(_ value: Int) -> String {
      let text = "\(value)"
      return String(repeating: "0", count: max(5 - text.utf8.count, 0)) + text
    }
    return "-\(digits(number))-of-\(digits(count)).gguf"
  }

  /// The whole model, of which one part is open already.
  func assemble(
    _ path: String, _ file: MappedFile, _ parser: GGUFParser, _ limits: GGUFLimits
  ) throws(GGUFError) -> (header: GGUFFile.Header, tensors: [GGUFTensorInfo], parts: [MappedFile]) {
    let suffix = GGUFSplit.suffix(number + 1, count)
    guard path.utf8.count > suffix.utf8.count, path.hasSuffix(suffix) else {
      throw GGUFError(path, .file, .splitName(number: number + 1, count: count))
    }
    let stem = String(decoding: path.utf8.dropLast(suffix.utf8.count), as: UTF8.self)
    var parsers: [GGUFParser] = []
    var parts: [MappedFile] = []
    for index in 0..<count {
      if index == number {
        parsers.append(parser)
        parts.append(file)
      } else {
        let (part, other) = try open("\(stem)\(GGUFSplit.suffix(index + 1, count))", index, path, limits)
        parsers.append(other)
        parts.append(part)
      }
    }
    return (header(parsers[0]), try tensors(of: parsers, path, limits), parts)
  }

  private func open(
    _ path: String, _ index: Int, _ opened: String, _ limits: GGUFLimits
  ) throws(GGUFError) -> (MappedFile, GGUFParser) {
    let file: MappedFile
    do {
      file = try MappedFile(path: path)
    } catch {
      throw GGUFError(opened, .file, .missingPart(error))
    }
    var parser = GGUFParser(subject: path, bytes: file.bytes, limits: limits)
    try parser.parse()
    guard let split = try GGUFSplit(parser) else {
      throw GGUFError(path, .key(Key.count), .splitMismatch(expected: count, found: 1))
    }
    for (key, expected, found) in [
      (Key.count, count, split.count), (Key.number, index, split.number), (Key.tensors, tensors, split.tensors),
    ] where expected != found {
      throw GGUFError(path, .key(key), .splitMismatch(expected: expected, found: found))
    }
    return (file, parser)
  }

  /// The first part's metadata without what makes it a part.
  private func header(_ first: GGUFParser) -> GGUFFile.Header {
    var header = first.parsedHeader
    header.metadata = GGUFMetadata()
    for key in first.metadata.keys where ![Key.number, Key.count, Key.tensors].contains(key) {
      if let value = first.metadata[key] { header.metadata.append(key, value) }
    }
    return header
  }

  private func tensors(
    of parsers: [GGUFParser], _ path: String, _ limits: GGUFLimits
  ) throws(GGUFError) -> [GGUFTensorInfo] {
    var all: [GGUFTensorInfo] = []
    var names = Set<String>()
    for (part, parser) in parsers.enumerated() {
      for tensor in parser.tensors {
        guard names.insert(tensor.name).inserted else {
          throw GGUFError(parser.subject, .tensor(tensor.name), .duplicate)
        }
        all.append(
          GGUFTensorInfo(
            name: tensor.name, dimensions: tensor.dimensions, type: tensor.type, byteRange: tensor.byteRange,
            part: part))
      }
      guard all.count <= limits.tensors else {
        throw GGUFError(
          path, .file, .overLimit(what: "tensor count", value: UInt64(all.count), limit: limits.tensors))
      }
    }
    guard all.count == tensors else {
      throw GGUFError(path, .key(Key.tensors), .splitMismatch(expected: all.count, found: tensors))
    }
    return all
  }
}
