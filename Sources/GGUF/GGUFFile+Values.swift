/// Typed access to metadata. The plain form gives nil when the key is absent; `require...` throws instead. A key of
/// another type throws in both: guessing hides broken files.
extension GGUFFile {
  /// Any of the eight integer types, as long as the value fits.
  package func integer(_ key: String) throws(GGUFError) -> Int? {
    guard let value = metadata[key] else { return nil }
    if let number = value.integer { return number }
    if case .uint64(let large) = value { throw GGUFError(subject, .key(key), .outOfRange("\(large)")) }
    throw wrongType(key, value, "integer")
  }

  /// float32, or float64 rounded.
  package func float(_ key: String) throws(GGUFError) -> Float? {
    guard let value = metadata[key] else { return nil }
    switch value {
    case .float32(let v): return v
    case .float64(let v): return Float(v)
    default: throw wrongType(key, value, "float")
    }
  }

  package func bool(_ key: String) throws(GGUFError) -> Bool? {
    guard let value = metadata[key] else { return nil }
    guard case .bool(let v) = value else { throw wrongType(key, value, "bool") }
    return v
  }

  /// Text; in a string that is not UTF-8 the bad bytes become U+FFFD.
  package func string(_ key: String) throws(GGUFError) -> String? {
    guard let value = metadata[key] else { return nil }
    switch value {
    case .string(let v): return v
    case .malformedString(let bytes): return String(decoding: bytes, as: UTF8.self)
    default: throw wrongType(key, value, "string")
    }
  }

  /// The exact bytes of an array of strings.
  package func byteStrings(_ key: String) throws(GGUFError) -> GGUFStrings? {
    guard let value = metadata[key] else { return nil }
    guard case .array(.string(let strings)) = value else { throw wrongType(key, value, "array of string") }
    return strings
  }

  package func strings(_ key: String) throws(GGUFError) -> [String]? { try byteStrings(key)?.strings }

  /// An array of any of the eight integer types, as long as every value fits.
  package func integers(_ key: String) throws(GGUFError) -> [Int]? {
    guard let value = metadata[key] else { return nil }
    switch value {
    case .array(.uint8(let a)): return a.map { Int($0) }
    case .array(.int8(let a)): return a.map { Int($0) }
    case .array(.uint16(let a)): return a.map { Int($0) }
    case .array(.int16(let a)): return a.map { Int($0) }
    case .array(.uint32(let a)): return a.map { Int($0) }
    case .array(.int32(let a)): return a.map { Int($0) }
    case .array(.int64(let a)): return a.map { Int($0) }
    case .array(.uint64(let a)):
      if let large = a.first(where: { $0 > UInt64(Int.max) }) {
        throw GGUFError(subject, .key(key), .outOfRange("\(large)"))
      }
      return a.map { Int($0) }
    default: throw wrongType(key, value, "array of integers")
    }
  }

  /// An array of float32, or of float64 rounded.
  package func floats(_ key: String) throws(GGUFError) -> [Float]? {
    guard let value = metadata[key] else { return nil }
    switch value {
    case .array(.float32(let a)): return a
    case .array(.float64(let a)): return a.map { Float($0) }
    default: throw wrongType(key, value, "array of floats")
    }
  }

  package func bools(_ key: String) throws(GGUFError) -> [Bool]? {
    guard let value = metadata[key] else { return nil }
    guard case .array(.bool(let values)) = value else { throw wrongType(key, value, "array of bool") }
    return values
  }

  package func requireInteger(_ key: String) throws(GGUFError) -> Int { try required(key, try integer(key)) }
  package func requireFloat(_ key: String) throws(GGUFError) -> Float { try required(key, try float(key)) }
  package func requireBool(_ key: String) throws(GGUFError) -> Bool { try required(key, try bool(key)) }
  package func requireString(_ key: String) throws(GGUFError) -> String { try required(key, try string(key)) }
  package func requireStrings(_ key: String) throws(GGUFError) -> [String] { try required(key, try strings(key)) }
  package func requireIntegers(_ key: String) throws(GGUFError) -> [Int] { try required(key, try integers(key)) }
  package func requireFloats(_ key: String) throws(GGUFError) -> [Float] { try required(key, try floats(key)) }
  package func requireByteStrings(_ key: String) throws(GGUFError) -> GGUFStrings {
    try required(key, try byteStrings(key))
  }

  package func requireTensor(_ name: String) throws(GGUFError) -> GGUFTensorInfo {
    guard let info = tensor(name) else { throw GGUFError(subject, .tensor(name), .missing) }
    return info
  }

  private func required<T>(_ key: String, _ value: T?) throws(GGUFError) -> T {
    guard let value else { throw GGUFError(subject, .key(key), .missing) }
    return value
  }

  private func wrongType(_ key: String, _ value: GGUFValue, _ expected: String) -> GGUFError {
    GGUFError(subject, .key(key), .wrongType(expected: expected, found: value.typeName))
  }
}
