import OccamGGUF

/// Bytes of a GGUF file put together field by field, so that any one of them can be wrong.
struct RawGGUF {
  var bytes: [UInt8] = []

  init(magic: String = "GGUF", version: UInt32 = 3, tensors: UInt64 = 0, keys: UInt64 = 0) {
    bytes += Array(magic.utf8)
    number(version)
    number(tensors)
    number(keys)
  }

  mutating func number<T: FixedWidthInteger>(_ value: T) {
    withUnsafeBytes(of: value.littleEndian) { bytes += Array($0) }
  }

  mutating func string(_ text: String, length: UInt64? = nil) {
    number(length ?? UInt64(text.utf8.count))
    bytes += Array(text.utf8)
  }

  mutating func key(_ name: String, type: UInt32) {
    string(name)
    number(type)
  }

  mutating func alignment(_ value: UInt32, type: UInt32 = 4) {
    key("general.alignment", type: type)
    number(value)
  }

  mutating func tensor(_ name: String, dimensions: [Int64], type: UInt32 = 0, offset: UInt64 = 0, count: UInt32? = nil)
  {
    string(name)
    number(count ?? UInt32(dimensions.count))
    for dimension in dimensions { number(dimension) }
    number(type)
    number(offset)
  }

  mutating func pad(_ alignment: Int = 32) {
    while bytes.count % alignment != 0 { bytes.append(0) }
  }

  mutating func data(_ count: Int) { bytes += (0..<count).map { UInt8(truncatingIfNeeded: $0) } }

  func parsed(_ limits: GGUFLimits = .default) throws(GGUFError) -> GGUFFile {
    try GGUFFile(bytes: bytes, subject: "raw", limits: limits)
  }

  /// What reading the bytes throws, or nil.
  func failure(_ limits: GGUFLimits = .default) -> GGUFError? {
    do {
      _ = try parsed(limits)
      return nil
    } catch {
      return error
    }
  }
}
