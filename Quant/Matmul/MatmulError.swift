import OccamQuantFormats

/// Why a kernel set or a packed matrix cannot be had.
package enum MatmulError: Error, Equatable, CustomStringConvertible {
  /// No kernel set of that name exists in this build.
  case unknownKernel(name: String, available: [String])
  /// The kernel set exists, but this processor lacks its instructions.
  case unsupportedKernel(name: String, available: [String])
  /// No rows, no columns, or a row that is no whole number of blocks.
  case shape(rows: Int, columns: Int, format: QuantFormat)
  /// More bytes than can be counted.
  case tooLarge(rows: Int, columns: Int, format: QuantFormat)
  /// The source does not hold exactly rows x columns numbers.
  case sourceSize(expected: Int, found: Int)

  package var description: String {
    switch self {
    case .unknownKernel(let name, let available):
      "no kernel set '\(name)'; this machine has \(available.joined(separator: ", "))"
    case .unsupportedKernel(let name, let available):
      "kernel set '\(name)' needs instructions this processor lacks; it has \(available.joined(separator: ", "))"
    case .shape(let rows, let columns, let format):
      "a matrix of \(rows) x \(columns) is no \(format.name) matrix: rows >= 1, columns a multiple of \(format.blockSize)"
    case .tooLarge(let rows, let columns, let format):
      "a \(format.name) matrix of \(rows) x \(columns) is too large"
    case .sourceSize(let expected, let found):
      "a matrix of \(expected) bytes was given \(found) bytes"
    }
  }
}
