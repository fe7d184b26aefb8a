import OccamCore
import OccamMatmul
import OccamQuantFormats

struct UsageError: Error, CustomStringConvertible {
  let description: String
}

struct Shape {
  let rows: Int
  let columns: Int
}

struct Options {
  var help = false
  var json = false
  var limitsSums = false
  var threads = Machine.usableCores()
  var seconds = 0.2
  var sets = KernelSet.available().map(\.name)
  var formats = QuantFormat.allCases
  var shapes = [Shape(rows: 4096, columns: 4096)]
  var tokens = [1, 512]

  static let usage = """
    kernel-bench [options]: matrix products per second beside the machine's own bounds
      -t, --threads N     compute threads (default: the cores this process may use)
      --sets A,B          kernel sets (default: all this processor runs)
      --formats A,B       weight formats (default: all), e.g. Q4_0,F16
      --shapes RxC,...    outputs x inputs (default: 4096x4096)
      --tokens N,...      rows of activations (default: 1,512)
      --seconds S         time for each measurement, of which the fastest run counts (default: 0.2)
      --sum-limited      Q8_0 weights as AVX2 takes them where a model's encoder is requantised
      --json              one JSON object a line
      -h, --help
    """

  init(_ arguments: [String]) throws {
    var rest = arguments[...]
    while let flag = rest.popFirst() {
      switch flag {
      case "-h", "--help": help = true
      case "--json": json = true
      case "--sum-limited": limitsSums = true
      case "-t", "--threads": threads = try Self.number(flag, &rest)
      case "--sets": sets = try Self.list(flag, &rest)
      case "--formats":
        formats = try Self.list(flag, &rest).map { name in
          guard let format = QuantFormat(name: name) else { throw UsageError(description: "no format '\(name)'") }
          return format
        }
      case "--shapes": shapes = try Self.list(flag, &rest).map(Self.shape)
      case "--tokens": tokens = try Self.list(flag, &rest).map { try Self.positive(flag, $0) }
      case "--seconds":
        let text = try Self.value(flag, &rest)
        guard let value = Double(text), value > 0, value <= 3600 else {
          throw UsageError(description: "\(flag): '\(text)' is no time in seconds")
        }
        seconds = value
      default: throw UsageError(description: "unknown option '\(flag)'; see --help")
      }
    }
  }

  private static func value(_ flag: String, _ rest: inout ArraySlice<String>) throws -> String {
    guard let value = rest.popFirst() else { throw UsageError(description: "\(flag) needs a value") }
    return value
  }

  private static func list(_ flag: String, _ rest: inout ArraySlice<String>) throws -> [String] {
    try value(flag, &rest).split(separator: ",").map(String.init)
  }

  private static func number(_ flag: String, _ rest: inout ArraySlice<String>) throws -> Int {
    try positive(flag, value(flag, &rest))
  }

  private static func positive(_ flag: String, _ text: String) throws -> Int {
    guard let value = Int(text), value > 0, value <= 1 << 20 else {
      throw UsageError(description: "\(flag): '\(text)' is no number from 1 to 1048576")
    }
    return value
  }

  private static func shape(_ text: String) throws -> Shape {
    let sides = text.split(separator: "x").map(String.init)
    guard sides.count == 2 else { throw UsageError(description: "--shapes: '\(text)' is not ROWSxCOLUMNS") }
    return Shape(rows: try positive("--shapes", sides[0]), columns: try positive("--shapes", sides[1]))
  }
}
