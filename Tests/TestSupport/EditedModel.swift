import OccamGGUF

/// A GGUF file with some changes.
package struct EditedModel {
  private let source: GGUFFile
  private var values: [String: GGUFValue?] = [:]
  private var replaced: [String: (name: String, dimensions: [Int], type: GGMLType, data: [UInt8])?] = [:]

  package init(_ path: String) throws { source = try GGUFFile(path: path) }

  package var keys: [String] { source.metadata.keys }
  package var tensors: [GGUFTensorInfo] { source.tensors }

  package func value(_ key: String) -> GGUFValue? { source.metadata[key] }

  package mutating func set(_ key: String, _ value: GGUFValue?) { values[key] = .some(value) }

  package mutating func remove(tensor name: String) { replaced[name] = .some(nil) }

  /// Zeros where no data is given.
  package mutating func replace(
    tensor name: String, by newName: String? = nil, dimensions: [Int]? = nil, type: GGMLType? = nil,
    data: [UInt8]? = nil
  ) throws {
    let info = try source.requireTensor(name)
    let dimensions = dimensions ?? info.dimensions
    let type = type ?? info.type
    let size = type.byteCount(dimensions: dimensions) ?? 0
    replaced[name] = (newName ?? name, dimensions, type, data ?? [UInt8](repeating: 0, count: size))
  }

  /// Fills every tensor with one byte.
  /// - Parameter isKept: names of those that stay as they are.
  package mutating func fill(_ byte: UInt8, except isKept: (String) -> Bool = { _ in false }) throws {
    for tensor in tensors where !isKept(tensor.name) {
      try replace(tensor: tensor.name, data: [UInt8](repeating: byte, count: tensor.byteRange.count))
    }
  }

  /// - Returns: the path of the new file, in a folder of its own.
  package func write(_ name: String = "edited.gguf") throws -> String {
    var writer = GGUFWriter()
    for key in source.metadata.keys + values.keys.filter({ source.metadata[$0] == nil }).sorted() {
      if let value = values[key] ?? source.metadata[key] { writer.set(key, value) }
    }
    for tensor in source.tensors {
      switch replaced[tensor.name] {
      case nil:
        try writer.add(
          tensor: tensor.name, dimensions: tensor.dimensions, type: tensor.type, data: Array(source.bytes(tensor)))
      case .some(nil): continue
      case .some(.some(let new)):
        try writer.add(tensor: new.name, dimensions: new.dimensions, type: new.type, data: new.data)
      }
    }
    let path = "\(TemporaryFolder.make())/\(name)"
    try writer.write(to: path)
    return path
  }
}
