import OccamGGUF
import OccamQuantFormats

/// Why a file could not be quantized, and which tensor stood in the way.
package struct QuantizeError: Error, CustomStringConvertible, Equatable {
  package enum Problem: Sendable, Equatable {
    case file(GGUFError)
    /// Reading and writing the same file would leave nothing to go back to.
    case outputIsInput
    /// The tensor would be converted from a format that this package does not decode.
    case unsupportedFormat(String)
    /// Quantizing numbers that were quantized before, without having been asked to.
    case alreadyQuantized(String)
    case notFinite(row: Int)
    /// A finite number, or the scale it leads to, is beyond what the format can hold.
    case overflow(row: Int, format: QuantFormat)
  }

  package let path: String
  package let tensor: String?
  package let problem: Problem

  package init(_ path: String, tensor: String? = nil, _ problem: Problem) {
    self.path = path
    self.tensor = tensor
    self.problem = problem
  }

  package var description: String {
    if case .file(let error) = problem { return error.description }
    let place = tensor.map { "'\(path)': tensor '\(oneLine($0))'" } ?? "'\(path)'"
    return "\(place): \(problem.text)"
  }
}

extension QuantizeError.Problem {
  fileprivate var text: String {
    switch self {
    case .file(let error): error.description
    case .outputIsInput: "input and output are the same file"
    case .unsupportedFormat(let name): "conversion from \(name) is not supported"
    case .alreadyQuantized(let name):
      "is quantized already (\(name)); start from an F16, BF16 or F32 file, or allow requantizing"
    case .notFinite(let row): "row \(row) holds a NaN or an infinity"
    case .overflow(let row, let format): "row \(row) holds a number too large for \(format.name)"
    }
  }
}

/// A name from a file, safe for one line of a terminal.
func oneLine(_ name: String) -> String {
  String(String.UnicodeScalarView(name.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? "?" : $0 }))
}
