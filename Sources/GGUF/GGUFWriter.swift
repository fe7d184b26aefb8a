import OccamCore

/// Writes GGUF version 3, little endian: metadata in the order it was set, tensors in the order they were added, each
/// padded to the alignment. Tensor data may be produced while it is written, so a file can be larger than memory.
package struct GGUFWriter {
  /// Hands the bytes of one tensor to the sink, in as many pieces as it likes.
  package typealias Producer = (_ sink: GGUFSink) throws(GGUFError) -> Void

  private struct Tensor {
    let name: String
    let dimensions: [Int]
    let type: GGMLType
    let byteCount: Int
    let produce: Producer
  }

  package private(set) var alignment: Int
  private var keys: [String] = []
  private var values: [String: GGUFValue] = [:]
  private var tensors: [Tensor] = []
  private var names = Set<String>()

  /// - Parameter alignment: a power of two; anything but 32 is also written as `general.alignment`.
  package init(alignment: Int = GGUFFile.defaultAlignment) {
    self.alignment = alignment
    if alignment != GGUFFile.defaultAlignment {
      keys.append(GGUFFile.alignmentKey)
      values[GGUFFile.alignmentKey] = .uint32(UInt32(clamping: alignment))
    }
  }

  // MARK: Metadata

  /// Sets or replaces a value. Setting `general.alignment` changes the alignment of the file.
  package mutating func set(_ key: String, _ value: GGUFValue) {
    if values.updateValue(value, forKey: key) == nil { keys.append(key) }
    if key == GGUFFile.alignmentKey, case .uint32(let number) = value { alignment = Int(number) }
  }

  package mutating func set(_ key: String, _ value: String) { set(key, .string(value)) }
  package mutating func set(_ key: String, _ value: Float) { set(key, .float32(value)) }
  package mutating func set(_ key: String, _ value: Bool) { set(key, .bool(value)) }
  package mutating func set(_ key: String, _ value: [String]) { set(key, .array(.string(GGUFStrings(value)))) }
  package mutating func set(_ key: String, _ value: [Float]) { set(key, .array(.float32(value))) }
  package mutating func set(_ key: String, _ value: [Int32]) { set(key, .array(.int32(value))) }
  package mutating func set(_ key: String, _ value: [Bool]) { set(key, .array(.bool(value))) }

  /// uint32, the type hyperparameters have; int64 where the number does not fit.
  package mutating func set(_ key: String, _ value: Int) {
    set(key, UInt32(exactly: value).map { .uint32($0) } ?? .int64(Int64(value)))
  }

  /// All metadata of another file, in its order.
  package mutating func copyMetadata(of file: GGUFFile) {
    for key in file.metadata.keys {
      if let value = file.metadata[key] { set(key, value) }
    }
  }

  // MARK: Tensors

  /// Adds a tensor whose data is asked for while the file is written.
  /// - Parameters:
  ///   - dimensions: fastest first, as in `GGUFTensorInfo`.
  ///   - byteCount: what `data` will yield; checked against the shape here and against what it yields then.
  /// - Throws: for a name that is empty, too long or taken, and for shapes or sizes that do not fit the type.
  package mutating func add(
    tensor name: String, dimensions: [Int], type: GGMLType, byteCount: Int, data: @escaping Producer
  ) throws(GGUFError) {
    func failure(_ problem: GGUFError.Problem) -> GGUFError { GGUFError("new file", .tensor(name), problem) }
    let limits = GGUFLimits.default
    guard !name.isEmpty else { throw failure(.emptyName) }
    guard name.utf8.count <= limits.nameBytes else {
      throw failure(.overLimit(what: "name length", value: UInt64(name.utf8.count), limit: limits.nameBytes))
    }
    guard dimensions.count <= GGUFLimits.dimensions else {
      throw failure(
        .overLimit(what: "number of dimensions", value: UInt64(dimensions.count), limit: GGUFLimits.dimensions))
    }
    for (index, dimension) in dimensions.enumerated() where dimension < 1 {
      throw failure(.badDimension(index: index, value: Int64(dimension)))
    }
    let row = dimensions.first ?? 1
    guard row % type.blockSize == 0 else {
      throw failure(.partialBlock(row: row, block: type.blockSize, type: type.name))
    }
    guard let expected = type.byteCount(dimensions: dimensions) else { throw failure(.sizeOverflow) }
    guard byteCount == expected else { throw failure(.wrongByteCount(expected: expected, found: byteCount)) }
    guard names.insert(name).inserted else { throw failure(.duplicate) }
    tensors.append(Tensor(name: name, dimensions: dimensions, type: type, byteCount: byteCount, produce: data))
  }

  /// Adds a tensor whose data is at hand.
  package mutating func add(
    tensor name: String, dimensions: [Int], type: GGMLType, data: [UInt8]
  ) throws(GGUFError) {
    try add(tensor: name, dimensions: dimensions, type: type, byteCount: data.count) { sink throws(GGUFError) in
      try sink.write(data)
    }
  }

  // MARK: Output

  /// Writes the file whole or not at all: into a temporary neighbour first, then renamed over `path`.
  package func write(to path: String) throws(GGUFError) {
    try check(path)
    let output: FileOutput
    do {
      output = try FileOutput(path: path)
    } catch {
      throw GGUFError(path, .file, .inaccessible(error))
    }
    do throws(GGUFError) {
      try write(to: GGUFSink(subject: path) { bytes throws(FileError) in try output.write(bytes) })
      try finish(output, path)
    } catch {
      output.discard()
      throw error
    }
  }

  private func finish(_ output: FileOutput, _ path: String) throws(GGUFError) {
    do {
      try output.finish()
    } catch {
      throw GGUFError(path, .file, .inaccessible(error))
    }
  }

  /// The file in memory.
  package func serialized() throws(GGUFError) -> [UInt8] {
    try check("new file")
    let memory = Memory()
    try write(to: GGUFSink(subject: "new file") { memory.bytes.append(contentsOf: $0) })
    return memory.bytes
  }

  private final class Memory {
    var bytes: [UInt8] = []
  }

  private func check(_ subject: String) throws(GGUFError) {
    guard alignment > 0, alignment.nonzeroBitCount == 1, alignment <= GGUFLimits.default.alignment else {
      throw GGUFError(subject, .key(GGUFFile.alignmentKey), .badAlignment(UInt64(clamping: alignment)))
    }
    if let value = values[GGUFFile.alignmentKey], value.kind != .uint32 {
      throw GGUFError(
        subject, .key(GGUFFile.alignmentKey), .wrongType(expected: "uint32", found: value.typeName))
    }
    for key in keys {
      guard !key.isEmpty else { throw GGUFError(subject, .key(key), .emptyName) }
      guard key.utf8.count <= GGUFLimits.default.keyBytes else {
        throw GGUFError(
          subject, .key(key),
          .overLimit(what: "key length", value: UInt64(key.utf8.count), limit: GGUFLimits.default.keyBytes))
      }
    }
  }

  private func write(to sink: GGUFSink) throws(GGUFError) {
    try sink.write(try header(sink.subject))
    try sink.pad(to: alignment)
    for tensor in tensors {
      let start = sink.position
      try tensor.produce(sink)
      let found = sink.position - start
      guard found == tensor.byteCount else {
        throw GGUFError(
          sink.subject, .tensor(tensor.name), .wrongByteCount(expected: tensor.byteCount, found: found))
      }
      try sink.pad(to: alignment)
    }
    try sink.flush()
  }

  private func header(_ subject: String) throws(GGUFError) -> [UInt8] {
    var bytes = Array("GGUF".utf8)
    bytes.append(little: UInt32(3))
    bytes.append(little: UInt64(tensors.count))
    bytes.append(little: UInt64(keys.count))
    for key in keys {
      guard let value = values[key] else { continue }
      bytes.append(counted: key.utf8)
      bytes.append(little: value.kind.rawValue)
      bytes.append(value)
    }
    var offset = 0
    for tensor in tensors {
      bytes.append(counted: tensor.name.utf8)
      bytes.append(little: UInt32(tensor.dimensions.count))
      for dimension in tensor.dimensions { bytes.append(little: UInt64(dimension)) }
      bytes.append(little: tensor.type.rawValue)
      bytes.append(little: UInt64(offset))
      let (end, overflow) = offset.addingReportingOverflow(tensor.byteCount)
      let (rounded, overflow2) = end.addingReportingOverflow(alignment - 1)
      guard !overflow, !overflow2 else { throw GGUFError(subject, .tensor(tensor.name), .sizeOverflow) }
      offset = rounded & ~(alignment - 1)
    }
    return bytes
  }
}
