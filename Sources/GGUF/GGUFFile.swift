import OccamCore

/// Where a tensor lies and how it is stored.
package struct GGUFTensorInfo: Sendable, Equatable {
  package let name: String
  /// ggml's `ne`: fastest first, every one at least 1. A weight matrix is [columns, rows].
  package let dimensions: [Int]
  package let type: GGMLType
  /// Bytes from the start of the part; the start is a multiple of the part's alignment.
  package let byteRange: Range<Int>
  /// Which part of a model in several files holds the data, from 0.
  package let part: Int

  init(name: String, dimensions: [Int], type: GGMLType, byteRange: Range<Int>, part: Int = 0) {
    self.name = name
    self.dimensions = dimensions
    self.type = type
    self.byteRange = byteRange
    self.part = part
  }

  package var elementCount: Int { dimensions.reduce(1, *) }
}

/// Key and value pairs in file order.
package struct GGUFMetadata: Sendable {
  package private(set) var keys: [String] = []
  private var values: [String: GGUFValue] = [:]

  package subscript(key: String) -> GGUFValue? { values[key] }

  /// - Precondition: `key` is not there yet.
  mutating func append(_ key: String, _ value: GGUFValue) {
    keys.append(key)
    values[key] = value
  }
}

/// A GGUF file of version 2 or 3, mapped read-only, its metadata and tensor table checked. A model split over several
/// files is one of these, too (`GGUFSplit`).
///
/// Tensor data is not touched by opening. Format: ggml/docs/gguf.md; where the document leaves room, what ggml's own
/// reader demands is demanded here (data without holes in table order, at most 4 dimensions, no arrays of arrays), and
/// in addition keys and names are UTF-8, names are not empty, and no dimension is 0.
package final class GGUFFile: Sendable {
  package static let defaultAlignment = 32
  package static let alignmentKey = "general.alignment"

  enum Storage: Sendable {
    case mapped(MappedFile)
    case memory(AlignedBuffer<UInt8>)
    /// No file: the tensors' bytes are made when they are asked for.
    case generated(any TensorGenerator)

    var bytes: UnsafeRawBufferPointer {
      switch self {
      case .mapped(let file): file.bytes
      case .memory(let buffer): UnsafeRawBufferPointer(buffer.buffer)
      case .generated: UnsafeRawBufferPointer(start: nil, count: 0)
      }
    }
  }

  /// The path, or the name given to bytes in memory; errors carry it.
  package let subject: String
  package let version: Int
  package let alignment: Int
  package let metadata: GGUFMetadata
  /// In file order.
  package let tensors: [GGUFTensorInfo]
  private let indices: [String: Int]
  let parts: [Storage]

  /// Maps the file and checks everything but the content of the tensors. Of a split model, any part may be given: the
  /// others are found beside it.
  package convenience init(path: String, limits: GGUFLimits = .default) throws(GGUFError) {
    let mapped: MappedFile
    do {
      mapped = try MappedFile(path: path)
    } catch {
      throw GGUFError(path, .file, .inaccessible(error))
    }
    var parser = GGUFParser(subject: path, bytes: mapped.bytes, limits: limits)
    try parser.parse()
    guard let split = try GGUFSplit(parser) else {
      self.init(path, parser.parsedHeader, parser.tensors, [.mapped(mapped)])
      return
    }
    let model = try split.assemble(path, mapped, parser, limits)
    self.init(path, model.header, model.tensors, model.parts.map { .mapped($0) })
  }

  /// Reads a file that is already in memory; the bytes are copied. A part of a split model cannot be read so.
  package convenience init(
    bytes: [UInt8], subject: String = "memory", limits: GGUFLimits = .default
  ) throws(GGUFError) {
    let storage = Storage.memory(AlignedBuffer(copying: bytes))
    var parser = GGUFParser(subject: subject, bytes: storage.bytes, limits: limits)
    try parser.parse()
    if let split = try GGUFSplit(parser) {
      throw GGUFError(subject, .file, .splitPart(number: split.number + 1, count: split.count))
    }
    self.init(subject, parser.parsedHeader, parser.tensors, [storage])
  }

  /// What the first bytes of a file say.
  struct Header {
    let version: Int
    let alignment: Int
    var metadata: GGUFMetadata
  }

  private init(_ subject: String, _ header: Header, _ tensors: [GGUFTensorInfo], _ parts: [Storage]) {
    self.parts = parts
    self.subject = subject
    version = header.version
    alignment = header.alignment
    metadata = header.metadata
    self.tensors = tensors
    var indices: [String: Int] = [:]
    indices.reserveCapacity(tensors.count)
    for (index, tensor) in tensors.enumerated() { indices[tensor.name] = index }
    self.indices = indices
  }

  /// A file that does not exist: its header, and what makes the bytes of its tensors.
  /// - Throws: for shapes that the type cannot hold, and names or keys that come twice.
  package init(
    subject: String, metadata entries: [(key: String, value: GGUFValue)],
    tensors: [(name: String, dimensions: [Int], type: GGMLType)], generator: any TensorGenerator
  ) throws(GGUFError) {
    var metadata = GGUFMetadata()
    for (key, value) in entries {
      guard metadata[key] == nil else { throw GGUFError(subject, .key(key), .duplicate) }
      metadata.append(key, value)
    }
    var table: [GGUFTensorInfo] = []
    var indices: [String: Int] = [:]
    var offset = 0
    for (name, dimensions, type) in tensors {
      guard let size = type.byteCount(dimensions: dimensions), size > 0,
        case let (end, false) = offset.addingReportingOverflow(size), end <= Int.max - GGUFFile.defaultAlignment
      else { throw GGUFError(subject, .tensor(name), .sizeOverflow) }
      guard indices.updateValue(table.count, forKey: name) == nil else {
        throw GGUFError(subject, .tensor(name), .duplicate)
      }
      table.append(GGUFTensorInfo(name: name, dimensions: dimensions, type: type, byteRange: offset..<end))
      offset = (end + GGUFFile.defaultAlignment - 1) & ~(GGUFFile.defaultAlignment - 1)
    }
    parts = [.generated(generator)]
    self.subject = subject
    version = 3
    alignment = GGUFFile.defaultAlignment
    self.metadata = metadata
    self.tensors = table
    self.indices = indices
  }

  /// What makes the tensors' bytes, when they stand in no file; `bytes` must then not be asked.
  package var generator: (any TensorGenerator)? {
    if case .generated(let generator)? = parts.first { generator } else { nil }
  }

  package var path: String { subject }

  /// Of all parts, where they are files.
  package var partPaths: [String] {
    parts.compactMap { if case .mapped(let file) = $0 { file.path } else { nil } }
  }

  /// Bytes of the whole file, or of all parts.
  package var byteCount: Int { parts.reduce(0) { $0 + $1.bytes.count } }

  package func tensor(_ name: String) -> GGUFTensorInfo? { indices[name].map { tensors[$0] } }

  /// The stored bytes of one of this file's tensors, valid as long as the file object.
  package func bytes(_ tensor: GGUFTensorInfo) -> UnsafeRawBufferPointer {
    let bytes = parts[tensor.part].bytes
    precondition(tensor.byteRange.upperBound <= bytes.count, "GGUFFile: tensor of another file")
    return UnsafeRawBufferPointer(rebasing: bytes[tensor.byteRange])
  }

  /// Lets the system fetch the bytes of a part while others are worked on.
  package func willRead(_ range: Range<Int>, part: Int) {
    if case .mapped(let file) = parts[part] { file.willRead(range) }
  }

  /// Gives the tensor's pages back to the system once its content was packed; it stays readable.
  package func release(_ tensor: GGUFTensorInfo) {
    if case .mapped(let file) = parts[tensor.part] { file.release(tensor.byteRange) }
  }
}
