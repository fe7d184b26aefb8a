import OccamCore

/// An array of a `.npy` file, as `numpy.save` writes it (NEP 1): little-endian `f4`, `f2` or `i4` in C order.
package struct NumPyArray: Sendable {
  package struct FormatError: Error, CustomStringConvertible {
    package let subject: String
    package let reason: String

    package var description: String { "'\(subject)': \(reason)" }
  }

  package let shape: [Int]
  /// The elements in C order; exact for all three types below 2^24.
  package let values: [Float]

  package init(path: String) throws {
    try self.init(bytes: Files.read(path), subject: path)
  }

  package init(bytes: [UInt8], subject: String) throws {
    func require(_ condition: Bool, _ reason: String) throws {
      if !condition { throw FormatError(subject: subject, reason: reason) }
    }
    try require(bytes.count >= 10 && bytes.starts(with: [0x93] + Array("NUMPY".utf8)), "not a .npy file")
    try require(bytes[6] == 1 && bytes[7] == 0, "version \(bytes[6]).\(bytes[7]) is not 1.0")
    let start = 10 + Int(bytes[8]) + Int(bytes[9]) << 8
    try require(bytes.count >= start, "header cut short")
    let header = String(decoding: bytes[10..<start], as: UTF8.self)
    // The header is a Python literal whose text numpy fixes:
    // {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
    guard let type = header.text(after: "'descr': '", upTo: "'"),
      let dimensions = header.text(after: "'shape': (", upTo: ")"),
      header.text(after: "'fortran_order': ", upTo: ",") == "False"
    else { throw FormatError(subject: subject, reason: "header not understood: \(header)") }
    var shape: [Int] = []
    for part in dimensions.split(separator: ",") {
      let digits = part.drop { $0 == " " }
      guard !digits.isEmpty else { continue }
      guard let dimension = Int(digits), dimension >= 0 else {
        throw FormatError(subject: subject, reason: "bad shape (\(dimensions))")
      }
      shape.append(dimension)
    }
    var count = 1
    for dimension in shape {
      let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
      try require(!overflow && product <= bytes.count, "shape (\(dimensions)) is larger than the file")
      count = product
    }
    let width = type == "<f2" ? 2 : 4
    try require(["<f4", "<f2", "<i4"].contains(type), "element type '\(type)' is not read here")
    try require(bytes.count == start + count * width, "\(bytes.count - start) bytes for \(count) elements of \(type)")
    self.shape = shape
    values = bytes.withUnsafeBytes { raw in
      (0..<count).map { index in
        let offset = start + index * width
        switch type {
        case "<f2": return Float(Float16(bitPattern: raw.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
        case "<i4": return Float(raw.loadUnaligned(fromByteOffset: offset, as: Int32.self))
        default: return Float(bitPattern: raw.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        }
      }
    }
  }

  /// The sub-array at the leading `indices`, flat. - Precondition: they lie within the shape.
  package func values(at indices: Int...) -> [Float] {
    precondition(indices.count <= shape.count, "NumPyArray: too many indices")
    let size = shape.dropFirst(indices.count).reduce(1, *)
    var position = 0
    for (index, dimension) in zip(indices, shape) {
      precondition(index >= 0 && index < dimension, "NumPyArray: index \(index) of \(dimension)")
      position = position * dimension + index
    }
    return Array(values[position * size..<(position + 1) * size])
  }
}

extension String {
  /// What stands between the first `prefix` and the next `end`; nil when one of them is missing.
  fileprivate func text(after prefix: String, upTo end: String) -> String? {
    let bytes = Array(utf8)
    guard let start = bytes.position(of: Array(prefix.utf8), from: 0).map({ $0 + prefix.utf8.count }),
      let stop = bytes.position(of: Array(end.utf8), from: start)
    else { return nil }
    return String(decoding: bytes[start..<stop], as: UTF8.self)
  }
}

extension [UInt8] {
  fileprivate func position(of pattern: [UInt8], from start: Int) -> Int? {
    guard count >= pattern.count else { return nil }
    return (start..<Swift.max(start, count - pattern.count + 1)).first { self[$0..<$0 + pattern.count] == pattern[...] }
  }
}
