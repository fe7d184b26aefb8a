/// One metadata value.
///
/// Text: GGUF says strings are UTF-8, but real vocabularies hold pieces of raw bytes. Nothing is lost: a string that is
/// valid UTF-8 is a `String`; another one is kept as its bytes (`malformedString`); string arrays keep all bytes
/// (`GGUFStrings`). Swift compares `String`s by canonical equivalence, so token lookup must use bytes.
package enum GGUFValue: Sendable, Equatable {
  case uint8(UInt8)
  case int8(Int8)
  case uint16(UInt16)
  case int16(Int16)
  case uint32(UInt32)
  case int32(Int32)
  case float32(Float)
  case bool(Bool)
  case string(String)
  case malformedString([UInt8])
  case array(GGUFArray)
  case uint64(UInt64)
  case int64(Int64)
  case float64(Double)

  /// The number that stands for each type in a file.
  package enum Kind: UInt32, Sendable, CaseIterable {
    case uint8 = 0
    case int8, uint16, int16, uint32, int32, float32, bool, string, array, uint64, int64, float64
  }

  package var kind: Kind {
    switch self {
    case .uint8: .uint8
    case .int8: .int8
    case .uint16: .uint16
    case .int16: .int16
    case .uint32: .uint32
    case .int32: .int32
    case .float32: .float32
    case .bool: .bool
    case .string, .malformedString: .string
    case .array: .array
    case .uint64: .uint64
    case .int64: .int64
    case .float64: .float64
    }
  }

  /// The number of any of the eight integer types, as long as it fits.
  var integer: Int? {
    switch self {
    case .uint8(let value): Int(value)
    case .int8(let value): Int(value)
    case .uint16(let value): Int(value)
    case .int16(let value): Int(value)
    case .uint32(let value): Int(value)
    case .int32(let value): Int(value)
    case .int64(let value): Int(value)
    case .uint64(let value): Int(exactly: value)
    default: nil
    }
  }

  /// For messages: `uint32`, `string`, `array of float32`.
  package var typeName: String {
    if case .array(let array) = self { return "array of \(array.kind)" }
    return "\(kind)"
  }
}

/// A homogeneous array, stored as compactly as in the file. Arrays of arrays do not exist here: the format allows them,
/// ggml refuses them, no model uses them.
package enum GGUFArray: Sendable, Equatable {
  case uint8([UInt8])
  case int8([Int8])
  case uint16([UInt16])
  case int16([Int16])
  case uint32([UInt32])
  case int32([Int32])
  case float32([Float])
  case bool([Bool])
  case string(GGUFStrings)
  case uint64([UInt64])
  case int64([Int64])
  case float64([Double])

  package var kind: GGUFValue.Kind {
    switch self {
    case .uint8: .uint8
    case .int8: .int8
    case .uint16: .uint16
    case .int16: .int16
    case .uint32: .uint32
    case .int32: .int32
    case .float32: .float32
    case .bool: .bool
    case .string: .string
    case .uint64: .uint64
    case .int64: .int64
    case .float64: .float64
    }
  }

  package var count: Int {
    switch self {
    case .uint8(let a): a.count
    case .int8(let a): a.count
    case .uint16(let a): a.count
    case .int16(let a): a.count
    case .uint32(let a): a.count
    case .int32(let a): a.count
    case .float32(let a): a.count
    case .bool(let a): a.count
    case .string(let a): a.count
    case .uint64(let a): a.count
    case .int64(let a): a.count
    case .float64(let a): a.count
    }
  }
}

/// An array of byte strings in one block of memory: a vocabulary of 150,000 tokens costs two allocations.
package struct GGUFStrings: Sendable, Equatable {
  /// All strings, one after the other.
  package private(set) var storage: [UInt8] = []
  /// Where each string ends in `storage`.
  private var ends: [Int] = []

  package init() {}

  package init(_ strings: some Sequence<String>) {
    for string in strings { append(string.utf8) }
  }

  package init(bytes strings: some Sequence<[UInt8]>) {
    for string in strings { append(string) }
  }

  package var count: Int { ends.count }
  package var indices: Range<Int> { 0..<ends.count }

  package mutating func append(_ bytes: some Collection<UInt8>) {
    storage.append(contentsOf: bytes)
    ends.append(storage.count)
  }

  mutating func reserve(count: Int) { ends.reserveCapacity(count) }

  /// Where string `index` lies in `storage`. - Precondition: `index` is in 0..<count.
  package func range(_ index: Int) -> Range<Int> { (index == 0 ? 0 : ends[index - 1])..<ends[index] }

  /// The exact bytes of string `index`. - Precondition: `index` is in 0..<count.
  package func bytes(_ index: Int) -> ArraySlice<UInt8> { storage[range(index)] }

  /// String `index` as text; what is not UTF-8 becomes U+FFFD. - Precondition: `index` is in 0..<count.
  package subscript(index: Int) -> String { String(decoding: bytes(index), as: UTF8.self) }

  package var strings: [String] { (0..<count).map { self[$0] } }
}
