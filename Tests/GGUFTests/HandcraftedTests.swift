import OccamGGUF
import Testing

/// The cases of llama.cpp's tests/test-gguf.cpp (handcrafted_file_type), by their names there.
@Suite struct HandcraftedTests {
  typealias Problem = GGUFError.Problem

  struct Case: Sendable, CustomTestStringConvertible {
    let name: String
    /// nil where the file is good.
    let expected: GGUFError?
    let bytes: [UInt8]
    var testDescription: String { name }
  }

  @Test(arguments: HandcraftedTests.cases) func handcrafted(_ item: Case) {
    var found: GGUFError?
    do {
      _ = try GGUFFile(bytes: item.bytes, subject: "raw")
    } catch {
      found = error
    }
    #expect(found == item.expected)
    if let found { #expect(found.description.contains("'raw'")) }
  }

  @Test func everyCaseIsHere() {
    #expect(Set(HandcraftedTests.cases.map(\.name)).count == 36)
  }

  static let cases: [Case] = header + metadata + tensors + data

  private static func bad(_ name: String, _ place: GGUFError.Place, _ problem: Problem, _ raw: RawGGUF) -> Case {
    Case(name: name, expected: GGUFError("raw", place, problem), bytes: raw.bytes)
  }

  private static func good(_ name: String, _ raw: RawGGUF) -> Case {
    Case(name: name, expected: nil, bytes: raw.bytes)
  }

  private static func over(_ what: String, _ value: UInt64, _ limit: Int) -> Problem {
    .overLimit(what: what, value: value, limit: limit)
  }

  private static let header: [Case] = [
    bad("HEADER_BAD_MAGIC", .header, .notGGUF, RawGGUF(magic: "FUGG")),
    bad("HEADER_BAD_VERSION_0", .header, .unsupportedVersion(0), RawGGUF(version: 0)),
    bad("HEADER_BAD_VERSION_1", .header, .unsupportedVersion(1), RawGGUF(version: 1)),
    bad("HEADER_BAD_VERSION_FUTURE", .header, .unsupportedVersion(4), RawGGUF(version: 4)),
    bad("HEADER_BAD_N_TENSORS", .header, over("tensor count", .max, 1 << 16), RawGGUF(tensors: .max)),
    bad("HEADER_BAD_N_KV", .header, over("metadata count", .max, 1 << 16), RawGGUF(keys: .max)),
    good("HEADER_EMPTY", RawGGUF()),
  ]

  private static func keyed(_ keys: UInt64, _ build: (inout RawGGUF) -> Void) -> RawGGUF {
    var raw = RawGGUF(keys: keys)
    build(&raw)
    return raw
  }

  private static let metadata: [Case] = [
    bad(
      "KV_BAD_KEY_SIZE", .entry(index: 0), over("key length", .max, 65_535), keyed(1) { $0.string("k", length: .max) }),
    bad("KV_EMPTY_KEY", .entry(index: 0), .emptyName, keyed(1) { $0.key("", type: 0) }),
    bad("KV_BAD_TYPE", .key("my_key_0"), .unknownValueType(13), keyed(1) { $0.key("my_key_0", type: 13) }),
    bad(
      "KV_BAD_VALUE_SIZE", .key("my_key_0"), over("string length", .max, 1 << 26),
      keyed(1) {
        $0.key("my_key_0", type: 8)
        $0.string("text", length: .max)
      }),
    bad(
      "KV_DUPLICATE_KEY", .key("my_key_0"), .duplicate,
      keyed(2) {
        for _ in 0..<2 {
          $0.key("my_key_0", type: 0)
          $0.number(UInt8(7))
        }
      }),
    bad("KV_BAD_ALIGN", .key("general.alignment"), .badAlignment(13), keyed(1) { $0.alignment(13) }),
    bad(
      "KV_WRONG_TYPE_ALIGN", .key("general.alignment"), .wrongType(expected: "uint32", found: "int32"),
      keyed(1) { $0.alignment(32, type: 5) }),
    good("KV_SUCCESS", everyKind),
  ]

  /// One value of each scalar kind, an array of each kind, a string that is not UTF-8.
  static let everyKind = keyed(26) { raw in
    for kind in GGUFValue.Kind.allCases where kind != .array && kind != .string {
      raw.key("scalar.\(kind)", type: kind.rawValue)
      raw.bytes += [UInt8](repeating: 1, count: width(kind))
      raw.key("array.\(kind)", type: GGUFValue.Kind.array.rawValue)
      raw.number(kind.rawValue)
      raw.number(UInt64(3))
      raw.bytes += [UInt8](repeating: 2, count: 3 * width(kind))
    }
    raw.key("scalar.string", type: 8)
    raw.string("Füße")
    raw.key("scalar.bytes", type: 8)
    raw.number(UInt64(2))
    raw.bytes += [0xC3, 0x28]
    raw.key("array.string", type: 9)
    raw.number(UInt32(8))
    raw.number(UInt64(2))
    raw.string("")
    raw.number(UInt64(1))
    raw.bytes += [0xFF]
    raw.key("array.empty", type: 9)
    raw.number(UInt32(8))
    raw.number(UInt64(0))
  }

  private static func width(_ kind: GGUFValue.Kind) -> Int {
    switch kind {
    case .uint8, .int8, .bool: 1
    case .uint16, .int16: 2
    case .uint32, .int32, .float32: 4
    default: 8
    }
  }

  private static func tabled(_ count: UInt64, keys: UInt64 = 0, _ build: (inout RawGGUF) -> Void) -> RawGGUF {
    var raw = RawGGUF(tensors: count, keys: keys)
    build(&raw)
    return raw
  }

  private static let longName =
    "my_tensor_0_with_a_very_long_name_which_is_longer_than_what_is_allowed_for_ggml_tensors"

  private static let tensors: [Case] = [
    bad(
      "TENSORS_BAD_NAME_SIZE", .tensorInfo(index: 0), over("name length", UInt64(longName.utf8.count), 63),
      tabled(1) { $0.tensor(longName, dimensions: [4]) }),
    bad(
      "TENSORS_BAD_N_DIMS", .tensor("t"), over("number of dimensions", 5, 4),
      tabled(1) { $0.tensor("t", dimensions: [1, 1, 1, 1, 1]) }),
    bad(
      "TENSORS_BAD_SHAPE", .tensor("t"), .badDimension(index: 0, value: -1),
      tabled(1) { $0.tensor("t", dimensions: [-1, -1]) }),
    // llama.cpp reads tensors without elements; no model has one, and no kernel here has to think of them.
    bad(
      "TENSORS_ZERO_DIM", .tensor("t"), .badDimension(index: 1, value: 0),
      tabled(1) { $0.tensor("t", dimensions: [4, 0]) }),
    bad(
      "TENSORS_NE_TOO_BIG", .tensor("t"), .sizeOverflow,
      tabled(1) { $0.tensor("t", dimensions: [4 * Int64(Int32.max), 4 * Int64(Int32.max)]) }),
    bad(
      "TENSORS_NBYTES_TOO_BIG", .tensor("t"), .sizeOverflow,
      tabled(1) { $0.tensor("t", dimensions: [1 << 31, 1 << 30], type: 27) }),
    bad(
      "TENSORS_NBYTES_PAD_WRAP", .tensor("t"), .sizeOverflow,
      tabled(1) { $0.tensor("t", dimensions: [4, 1_073_741_823, 1_073_741_825]) }),
    bad(
      "TENSORS_BAD_TYPE", .tensor("t"), .unknownTensorType(43),
      tabled(1) { $0.tensor("t", dimensions: [4], type: 43) }),
    bad(
      "TENSORS_BAD_OFFSET", .tensor("t"), .badOffset(found: .max, expected: 0),
      tabled(1) { $0.tensor("t", dimensions: [4], offset: .max) }),
    bad(
      "TENSORS_DUPLICATE_NAME", .tensor("t"), .duplicate,
      tabled(2) {
        $0.tensor("t", dimensions: [8])
        $0.tensor("t", dimensions: [8], offset: 32)
      }),
    bad(
      "TENSORS_BAD_ALIGN", .key("general.alignment"), .badAlignment(13),
      tabled(1, keys: 1) {
        $0.alignment(13)
        $0.tensor("t", dimensions: [4])
      }),
    bad(
      "TENSORS_INCONSISTENT_ALIGN", .tensor("b"), .badOffset(found: 16, expected: 32),
      packed(alignment: 16, declared: nil)),
    good("TENSORS_SUCCESS", packed(alignment: 32, declared: nil)),
    good("TENSORS_CUSTOM_ALIGN", packed(alignment: 1, declared: 1)),
  ]

  /// Two tensors of 16 bytes whose offsets and data follow `alignment`, which the file may declare or not.
  private static func packed(alignment: Int, declared: UInt32?, missing: Int = 0) -> RawGGUF {
    var raw = RawGGUF(tensors: 2, keys: declared == nil ? 0 : 1)
    if let declared { raw.alignment(declared) }
    let second = (16 + alignment - 1) / alignment * alignment
    raw.tensor("a", dimensions: [4])
    raw.tensor("b", dimensions: [2, 2], offset: UInt64(second))
    raw.pad(alignment)
    raw.data(second + 16 - missing)
    return raw
  }

  private static let data: [Case] = [
    bad(
      "DATA_NOT_ENOUGH_DATA", .tensor("b"), .dataOutsideFile(end: 176, size: 175),
      packed(alignment: 32, declared: nil, missing: 1)),
    bad(
      "DATA_BAD_ALIGN", .key("general.alignment"), .badAlignment(13),
      packed(alignment: 32, declared: 13)),
    bad(
      "DATA_INCONSISTENT_ALIGN", .tensor("b"), .badOffset(found: 16, expected: 32),
      packed(alignment: 16, declared: 32)),
    bad(
      "DATA_MEM_SIZE_OVERFLOW", .tensor("a"), .dataOutsideFile(end: 0x7FFF_FFFF_FFFF_FFC0 + 96, size: 128),
      tabled(2) {
        $0.tensor("a", dimensions: [0x7FFF_FFFF_FFFF_FFC0], type: 24)
        $0.tensor("b", dimensions: [0x7FFF_FFFF_FFFF_FFC0], type: 24, offset: 0x7FFF_FFFF_FFFF_FFC0)
        $0.pad()
        $0.data(32)
      }),
    good("DATA_SUCCESS", dataCase(nil)),
    good("DATA_CUSTOM_ALIGN", dataCase(8)),
    // Not in that list, but of its kind.
    bad(
      "TENSORS_PARTIAL_BLOCK", .tensor("t"), .partialBlock(row: 33, block: 32, type: "q8_0"),
      tabled(1) { $0.tensor("t", dimensions: [33], type: 8) }),
  ]

  private static func dataCase(_ alignment: UInt32?) -> RawGGUF {
    packed(alignment: Int(alignment ?? 32), declared: alignment)
  }
}
