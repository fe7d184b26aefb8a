/// How a tensor's elements are stored: blocks of `blockSize` elements in `bytesPerBlock` bytes.
///
/// Numbers, names and sizes are ggml's (ggml.h, ggml-common.h). 4, 5, 31-33 and 36-38 belonged to formats that ggml
/// has removed. Where the Python gguf package disagrees (q8_1: it counts 40 bytes a block) ggml's struct is followed.
package enum GGMLType: UInt32, CaseIterable, Sendable {
  case f32 = 0
  case f16 = 1
  case q4_0 = 2
  case q4_1 = 3
  case q5_0 = 6
  case q5_1 = 7
  case q8_0 = 8
  case q8_1 = 9
  case q2_K = 10
  case q3_K = 11
  case q4_K = 12
  case q5_K = 13
  case q6_K = 14
  case q8_K = 15
  case iq2_xxs = 16
  case iq2_xs = 17
  case iq3_xxs = 18
  case iq1_s = 19
  case iq4_nl = 20
  case iq3_s = 21
  case iq2_s = 22
  case iq4_xs = 23
  case i8 = 24
  case i16 = 25
  case i32 = 26
  case i64 = 27
  case f64 = 28
  case iq1_m = 29
  case bf16 = 30
  case tq1_0 = 34
  case tq2_0 = 35
  case mxfp4 = 39
  case nvfp4 = 40
  case q1_0 = 41
  case q2_0 = 42

  /// ggml's own spelling, e.g. `q4_K`.
  package var name: String { layout.name }

  /// Elements per block; the first dimension of a tensor is a multiple of it.
  package var blockSize: Int { layout.elements }

  package var bytesPerBlock: Int { layout.bytes }

  /// The type ggml spells `name`; upper and lower case do not matter (`Q4_K` and `q4_k` are both read).
  package init?(name: String) {
    let wanted = name.lowercased()
    guard let type = GGMLType.allCases.first(where: { $0.name.lowercased() == wanted }) else { return nil }
    self = type
  }

  /// Bytes of `dimensions` (fastest first), or nil where the first dimension cuts a block or the size passes Int.
  package func byteCount(dimensions: [Int]) -> Int? {
    let row = dimensions.first ?? 1
    guard row >= 0, row % blockSize == 0 else { return nil }
    var (bytes, overflow) = (row / blockSize).multipliedReportingOverflow(by: bytesPerBlock)
    for dimension in dimensions.dropFirst() where !overflow {
      guard dimension >= 0 else { return nil }
      (bytes, overflow) = bytes.multipliedReportingOverflow(by: dimension)
    }
    return overflow ? nil : bytes
  }

  private var layout: (name: String, elements: Int, bytes: Int) {
    switch self {
    case .f32: ("f32", 1, 4)
    case .f16: ("f16", 1, 2)
    case .q4_0: ("q4_0", 32, 18)
    case .q4_1: ("q4_1", 32, 20)
    case .q5_0: ("q5_0", 32, 22)
    case .q5_1: ("q5_1", 32, 24)
    case .q8_0: ("q8_0", 32, 34)
    case .q8_1: ("q8_1", 32, 36)
    case .q2_K: ("q2_K", 256, 84)
    case .q3_K: ("q3_K", 256, 110)
    case .q4_K: ("q4_K", 256, 144)
    case .q5_K: ("q5_K", 256, 176)
    case .q6_K: ("q6_K", 256, 210)
    case .q8_K: ("q8_K", 256, 292)
    case .iq2_xxs: ("iq2_xxs", 256, 66)
    case .iq2_xs: ("iq2_xs", 256, 74)
    case .iq3_xxs: ("iq3_xxs", 256, 98)
    case .iq1_s: ("iq1_s", 256, 50)
    case .iq4_nl: ("iq4_nl", 32, 18)
    case .iq3_s: ("iq3_s", 256, 110)
    case .iq2_s: ("iq2_s", 256, 82)
    case .iq4_xs: ("iq4_xs", 256, 136)
    case .i8: ("i8", 1, 1)
    case .i16: ("i16", 1, 2)
    case .i32: ("i32", 1, 4)
    case .i64: ("i64", 1, 8)
    case .f64: ("f64", 1, 8)
    case .iq1_m: ("iq1_m", 256, 56)
    case .bf16: ("bf16", 1, 2)
    case .tq1_0: ("tq1_0", 256, 54)
    case .tq2_0: ("tq2_0", 256, 66)
    case .mxfp4: ("mxfp4", 32, 17)
    case .nvfp4: ("nvfp4", 64, 36)
    case .q1_0: ("q1_0", 128, 18)
    case .q2_0: ("q2_0", 64, 18)
    }
  }
}
