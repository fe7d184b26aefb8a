import OccamCore

/// What is wrong with a GGUF file (or with what a writer was asked to write): the file, the place in it, the problem.
package struct GGUFError: Error, CustomStringConvertible, Equatable {
  /// The part of the file the problem belongs to.
  package enum Place: Sendable, Equatable {
    case file
    case header
    /// The `index`-th metadata entry, while its key is not known yet.
    case entry(index: Int)
    case key(String)
    /// The `index`-th tensor, while its name is not known yet.
    case tensorInfo(index: Int)
    case tensor(String)
  }

  package enum Problem: Sendable, Equatable {
    case inaccessible(FileError)
    case notGGUF
    case bigEndian
    case unsupportedVersion(UInt32)
    /// The file ends before `needed` more bytes at byte `offset`.
    case truncated(offset: Int, needed: UInt64)
    case overLimit(what: String, value: UInt64, limit: Int)
    case notUTF8
    case emptyName
    case duplicate
    case unknownValueType(UInt32)
    case nestedArray
    case badAlignment(UInt64)
    case missing
    case wrongType(expected: String, found: String)
    case outOfRange(String)
    case unknownTensorType(UInt32)
    case badDimension(index: Int, value: Int64)
    case sizeOverflow
    /// A row of `row` elements does not hold whole blocks of `block`.
    case partialBlock(row: Int, block: Int, type: String)
    /// Tensors must follow each other without holes, each start aligned, in the order of the table (ggml's rule).
    case badOffset(found: UInt64, expected: UInt64)
    case dataOutsideFile(end: UInt64, size: Int)
    case wrongByteCount(expected: Int, found: Int)
    /// A part of a split model, where no other part can be found.
    case splitPart(number: Int, count: Int)
    /// A part whose name does not say which it is.
    case splitName(number: Int, count: Int)
    case missingPart(FileError)
    /// A part that says something else than this.
    case splitMismatch(expected: Int, found: Int)
  }

  package let subject: String
  package let place: Place
  package let problem: Problem

  package init(_ subject: String, _ place: Place, _ problem: Problem) {
    self.subject = subject
    self.place = place
    self.problem = problem
  }

  package var description: String {
    switch place {
    case .file: "'\(subject)': \(problem)"
    case .header: "'\(subject)': header: \(problem)"
    case .entry(let index): "'\(subject)': metadata entry \(index): \(problem)"
    case .key(let key): "'\(subject)': metadata key '\(printable(key))': \(problem)"
    case .tensorInfo(let index): "'\(subject)': tensor \(index): \(problem)"
    case .tensor(let name): "'\(subject)': tensor '\(printable(name))': \(problem)"
    }
  }
}

extension GGUFError.Problem: CustomStringConvertible {
  package var description: String {
    switch self {
    case .inaccessible(let error): "cannot \(error.operation.rawValue): \(error.reason)"
    case .notGGUF: "not a GGUF file"
    case .bigEndian: "big-endian GGUF files are not supported"
    case .unsupportedVersion(let version): "GGUF version \(version) is not supported (2 and 3 are)"
    case .truncated(let offset, let needed): "file ends early: \(needed) more bytes needed at byte \(offset)"
    case .overLimit(let what, let value, let limit): "\(what) \(value) is over the limit of \(limit)"
    case .notUTF8: "name is not valid UTF-8"
    case .emptyName: "name is empty"
    case .duplicate: "appears twice"
    case .unknownValueType(let number): "unknown value type \(number)"
    case .nestedArray: "arrays of arrays are not supported"
    case .badAlignment(let value): "alignment \(value) is not a power of two within the limit"
    case .missing: "missing"
    case .wrongType(let expected, let found): "\(expected) expected, found \(found)"
    case .outOfRange(let value): "value \(value) is out of range"
    case .unknownTensorType(let number): "unknown tensor type \(number)"
    case .badDimension(let index, let value): "dimension \(index) is \(value)"
    case .sizeOverflow: "size does not fit in 64 bits"
    case .partialBlock(let row, let block, let type):
      "rows of \(row) elements do not hold whole \(type) blocks of \(block)"
    case .badOffset(let found, let expected): "data offset \(found), expected \(expected)"
    case .dataOutsideFile(let end, let size): "data ends at byte \(end), the file has \(size)"
    case .wrongByteCount(let expected, let found): "\(expected) bytes of data expected, \(found) given"
    case .splitPart(let number, let count): "is part \(number) of \(count) of a model: open it by its path"
    case .splitName(let number, let count):
      "is part \(number) of \(count) of a model, but its name does not end in '\(GGUFSplit.suffix(number, count))'"
    case .missingPart(let error): "a part of the model is missing: \(error)"
    case .splitMismatch(let expected, let found): "\(found), where the model's parts make it \(expected)"
    }
  }
}

/// Text from a file made safe for one line of a terminal: control characters and line breaks are escaped.
package func printable(_ text: String) -> String {
  var result = ""
  for scalar in text.unicodeScalars {
    switch scalar {
    case "\n": result += "\\n"
    case "\r": result += "\\r"
    case "\t": result += "\\t"
    default:
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator, .privateUse, .unassigned:
        result += "\\u{\(String(scalar.value, radix: 16))}"
      default: result.unicodeScalars.append(scalar)
      }
    }
  }
  return result
}
