/// Reads the header, the metadata and the tensor table. Nothing is believed: each read is held against the bytes that
/// remain, each number against its limit, each sum and product against overflow.
struct GGUFParser {
  let subject: String
  let bytes: UnsafeRawBufferPointer
  let limits: GGUFLimits

  private var offset = 0
  private var place = GGUFError.Place.header

  private(set) var version = 0
  private(set) var metadata = GGUFMetadata()
  private(set) var tensors: [GGUFTensorInfo] = []
  private(set) var alignment = GGUFFile.defaultAlignment

  /// A row of the tensor table, its data not placed yet.
  private struct Entry {
    let name: String
    let dimensions: [Int]
    let type: GGMLType
    let byteCount: Int
    let offset: UInt64
  }

  init(subject: String, bytes: UnsafeRawBufferPointer, limits: GGUFLimits) {
    self.subject = subject
    self.bytes = bytes
    self.limits = limits
  }

  private func failure(_ problem: GGUFError.Problem) -> GGUFError { GGUFError(subject, place, problem) }

  var parsedHeader: GGUFFile.Header { GGUFFile.Header(version: version, alignment: alignment, metadata: metadata) }

  mutating func parse() throws(GGUFError) {
    let (tensorCount, keyCount) = try header()
    for index in 0..<keyCount { try readKey(index) }
    try readAlignment()
    var entries: [Entry] = []
    var names = Set<String>()
    for index in 0..<tensorCount {
      let entry = try readTensorEntry(index)
      guard names.insert(entry.name).inserted else { throw failure(.duplicate) }
      entries.append(entry)
    }
    if !entries.isEmpty { try locate(entries) }
  }

  // MARK: Header

  private mutating func header() throws(GGUFError) -> (tensors: Int, keys: Int) {
    guard bytes.count >= 4, bytes[0..<4].elementsEqual("GGUF".utf8) else { throw failure(.notGGUF) }
    offset = 4
    let number: UInt32 = try integer()
    // A small number written in the other byte order has its low half empty.
    if number & 0xFFFF == 0 && number != 0 { throw failure(.bigEndian) }
    guard number == 2 || number == 3 else { throw failure(.unsupportedVersion(number)) }
    version = Int(number)
    let tensors = try count("tensor count", limit: limits.tensors)
    let keys = try count("metadata count", limit: limits.entries)
    return (tensors, keys)
  }

  // MARK: Metadata

  private mutating func readKey(_ index: Int) throws(GGUFError) {
    place = .entry(index: index)
    let key = try name("key length", limit: limits.keyBytes)
    place = .key(key)
    guard metadata[key] == nil else { throw failure(.duplicate) }
    let kind = try kind()
    metadata.append(key, try value(kind))
  }

  private mutating func kind() throws(GGUFError) -> GGUFValue.Kind {
    let number: UInt32 = try integer()
    guard let kind = GGUFValue.Kind(rawValue: number) else { throw failure(.unknownValueType(number)) }
    return kind
  }

  private mutating func value(_ kind: GGUFValue.Kind) throws(GGUFError) -> GGUFValue {
    switch kind {
    case .uint8: return .uint8(try integer())
    case .int8: return .int8(try integer())
    case .uint16: return .uint16(try integer())
    case .int16: return .int16(try integer())
    case .uint32: return .uint32(try integer())
    case .int32: return .int32(try integer())
    case .uint64: return .uint64(try integer())
    case .int64: return .int64(try integer())
    case .float32: return .float32(Float(bitPattern: try integer()))
    case .float64: return .float64(Double(bitPattern: try integer()))
    case .bool:
      let byte: UInt8 = try integer()
      return .bool(byte != 0)
    case .string:
      let range = try stringRange("string length", limit: limits.stringBytes)
      if let text = text(range) { return .string(text) }
      return .malformedString(Array(bytes[range]))
    case .array:
      let element = try self.kind()
      guard element != .array else { throw failure(.nestedArray) }
      return .array(try array(of: element, count: try count("array length", limit: limits.arrayElements)))
    }
  }

  private mutating func array(of kind: GGUFValue.Kind, count: Int) throws(GGUFError) -> GGUFArray {
    switch kind {
    case .uint8: return .uint8(try integers(count))
    case .int8: return .int8(try integers(count))
    case .uint16: return .uint16(try integers(count))
    case .int16: return .int16(try integers(count))
    case .uint32: return .uint32(try integers(count))
    case .int32: return .int32(try integers(count))
    case .uint64: return .uint64(try integers(count))
    case .int64: return .int64(try integers(count))
    case .float32: return .float32(try integers(count).map(Float.init(bitPattern:)))
    case .float64: return .float64(try integers(count).map(Double.init(bitPattern:)))
    case .bool: return .bool(try integers(count).map { (byte: UInt8) in byte != 0 })
    case .string: return .string(try stringArray(count))
    case .array: throw failure(.nestedArray)
    }
  }

  private mutating func stringArray(_ count: Int) throws(GGUFError) -> GGUFStrings {
    // Every string takes 8 bytes at least, so a false count is seen before memory is reserved for it.
    try need(count, times: 8)
    var strings = GGUFStrings()
    strings.reserve(count: count)
    for _ in 0..<count {
      strings.append(bytes[try stringRange("string length", limit: limits.stringBytes)])
    }
    return strings
  }

  private mutating func readAlignment() throws(GGUFError) {
    guard let value = metadata[GGUFFile.alignmentKey] else { return }
    place = .key(GGUFFile.alignmentKey)
    guard case .uint32(let number) = value else {
      throw failure(.wrongType(expected: "uint32", found: value.typeName))
    }
    guard number.nonzeroBitCount == 1, Int(number) <= limits.alignment else {
      throw failure(.badAlignment(UInt64(number)))
    }
    alignment = Int(number)
  }

  // MARK: Tensor table

  private mutating func readTensorEntry(_ index: Int) throws(GGUFError) -> Entry {
    place = .tensorInfo(index: index)
    let name = try name("name length", limit: limits.nameBytes)
    place = .tensor(name)
    let dimensionCount: UInt32 = try integer()
    guard dimensionCount <= GGUFLimits.dimensions else {
      throw failure(
        .overLimit(what: "number of dimensions", value: UInt64(dimensionCount), limit: GGUFLimits.dimensions))
    }
    var dimensions: [Int] = []
    var elements = 1
    for dimension in 0..<Int(dimensionCount) {
      let extent: Int64 = try integer()
      guard extent > 0 else { throw failure(.badDimension(index: dimension, value: extent)) }
      let (product, overflow) = elements.multipliedReportingOverflow(by: Int(extent))
      guard !overflow else { throw failure(.sizeOverflow) }
      elements = product
      dimensions.append(Int(extent))
    }
    let number: UInt32 = try integer()
    guard let type = GGMLType(rawValue: number) else { throw failure(.unknownTensorType(number)) }
    let row = dimensions.first ?? 1
    guard row % type.blockSize == 0 else {
      throw failure(.partialBlock(row: row, block: type.blockSize, type: type.name))
    }
    guard let byteCount = type.byteCount(dimensions: dimensions) else { throw failure(.sizeOverflow) }
    return Entry(name: name, dimensions: dimensions, type: type, byteCount: byteCount, offset: try integer())
  }

  /// Places the tensors behind the table. Offsets are those of data packed in table order, as ggml demands, so ranges
  /// cannot overlap. The padding after the last tensor may be missing.
  private mutating func locate(_ entries: [Entry]) throws(GGUFError) {
    place = .file
    let dataStart = try aligned(UInt64(offset))
    var expected: UInt64 = 0
    tensors.reserveCapacity(entries.count)
    for entry in entries {
      place = .tensor(entry.name)
      guard entry.offset == expected else { throw failure(.badOffset(found: entry.offset, expected: expected)) }
      let start = try sum(dataStart, expected)
      let end = try sum(start, UInt64(entry.byteCount))
      guard end <= UInt64(bytes.count) else { throw failure(.dataOutsideFile(end: end, size: bytes.count)) }
      tensors.append(
        GGUFTensorInfo(
          name: entry.name, dimensions: entry.dimensions, type: entry.type, byteRange: Int(start)..<Int(end)))
      expected = try sum(expected, try aligned(UInt64(entry.byteCount)))
    }
  }

  private func aligned(_ value: UInt64) throws(GGUFError) -> UInt64 {
    let mask = UInt64(alignment - 1)
    return try sum(value, mask) & ~mask
  }

  private func sum(_ a: UInt64, _ b: UInt64) throws(GGUFError) -> UInt64 {
    let (result, overflow) = a.addingReportingOverflow(b)
    guard !overflow else { throw failure(.sizeOverflow) }
    return result
  }

  // MARK: Primitives

  /// Checks that `count` items of `size` bytes remain.
  private func need(_ count: Int, times size: Int) throws(GGUFError) {
    let (total, overflow) = count.multipliedReportingOverflow(by: size)
    guard !overflow, total <= bytes.count - offset else {
      throw failure(.truncated(offset: offset, needed: UInt64(overflow ? count : total)))
    }
  }

  private mutating func integer<T: FixedWidthInteger & BitwiseCopyable>() throws(GGUFError) -> T {
    let size = MemoryLayout<T>.size
    try need(1, times: size)
    defer { offset += size }
    return T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
  }

  private mutating func integers<T: FixedWidthInteger & BitwiseCopyable>(_ count: Int) throws(GGUFError) -> [T] {
    let size = MemoryLayout<T>.size
    try need(count, times: size)
    let start = offset
    offset += count * size
    return [T](unsafeUninitializedCapacity: count) { buffer, initialized in
      for index in 0..<count {
        let raw = bytes.loadUnaligned(fromByteOffset: start + index * size, as: T.self)
        buffer.initializeElement(at: index, to: T(littleEndian: raw))
      }
      initialized = count
    }
  }

  private mutating func count(_ what: String, limit: Int) throws(GGUFError) -> Int {
    let value: UInt64 = try integer()
    guard value <= UInt64(limit) else { throw failure(.overLimit(what: what, value: value, limit: limit)) }
    return Int(value)
  }

  /// Where the bytes of a string lie; moves past them.
  private mutating func stringRange(_ what: String, limit: Int) throws(GGUFError) -> Range<Int> {
    let length = try count(what, limit: limit)
    try need(length, times: 1)
    defer { offset += length }
    return offset..<(offset + length)
  }

  private mutating func name(_ what: String, limit: Int) throws(GGUFError) -> String {
    let range = try stringRange(what, limit: limit)
    guard !range.isEmpty else { throw failure(.emptyName) }
    guard let text = text(range) else { throw failure(.notUTF8) }
    return text
  }

  private func text(_ range: Range<Int>) -> String? { String(validating: bytes[range], as: UTF8.self) }
}
