import OccamCore

/// A readable listing of a file: what it is, its metadata (long arrays and strings cut short), its tensors.
package func inspectionLines(of file: GGUFFile) -> [String] {
  var lines = [
    "file      \(printable(file.subject))",
    "format    GGUF version \(file.version), alignment \(file.alignment), \(file.byteCount) bytes",
    "metadata  \(file.metadata.keys.count) entries",
  ]
  for key in file.metadata.keys {
    guard let value = file.metadata[key] else { continue }
    lines.append("  \(printable(key)) (\(value.typeName)) = \(summary(value))")
  }
  let bytes = file.tensors.reduce(0) { $0 + $1.byteRange.count }
  lines.append("tensors   \(file.tensors.count), \(mebibytes(bytes)) MiB")
  let rows = file.tensors.map { tensor in
    [
      printable(tensor.name), tensor.type.name, "[" + tensor.dimensions.map(String.init).joined(separator: ", ") + "]",
      "\(tensor.byteRange.count)", "\(tensor.byteRange.lowerBound)",
    ]
  }
  let header = ["name", "type", "dimensions", "bytes", "offset"]
  let widths = header.indices.map { column in rows.reduce(header[column].count) { max($0, $1[column].count) } }
  for row in rows.isEmpty ? [] : [header] + rows {
    let cells = row.indices.map { pad(row[$0], widths[$0], left: $0 < 3) }
    lines.append("  " + cells.joined(separator: "  "))
  }
  var counts: [GGMLType: (tensors: Int, bytes: Int)] = [:]
  for tensor in file.tensors {
    counts[tensor.type, default: (0, 0)].tensors += 1
    counts[tensor.type, default: (0, 0)].bytes += tensor.byteRange.count
  }
  for (type, count) in counts.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
    lines.append("  \(pad(type.name, 8, left: true)) \(count.tensors) tensors, \(mebibytes(count.bytes)) MiB")
  }
  return lines
}

private let shownElements = 6
private let shownCharacters = 80

private func summary(_ value: GGUFValue) -> String {
  switch value {
  case .uint8(let v): "\(v)"
  case .int8(let v): "\(v)"
  case .uint16(let v): "\(v)"
  case .int16(let v): "\(v)"
  case .uint32(let v): "\(v)"
  case .int32(let v): "\(v)"
  case .uint64(let v): "\(v)"
  case .int64(let v): "\(v)"
  case .float32(let v): "\(v)"
  case .float64(let v): "\(v)"
  case .bool(let v): "\(v)"
  case .string(let v): quoted(v)
  case .malformedString(let v): quoted(String(decoding: v, as: UTF8.self)) + " (not UTF-8)"
  case .array(let array): summary(array)
  }
}

private func summary(_ array: GGUFArray) -> String {
  let shown: [String] =
    switch array {
    case .uint8(let a): a.prefix(shownElements).map { "\($0)" }
    case .int8(let a): a.prefix(shownElements).map { "\($0)" }
    case .uint16(let a): a.prefix(shownElements).map { "\($0)" }
    case .int16(let a): a.prefix(shownElements).map { "\($0)" }
    case .uint32(let a): a.prefix(shownElements).map { "\($0)" }
    case .int32(let a): a.prefix(shownElements).map { "\($0)" }
    case .uint64(let a): a.prefix(shownElements).map { "\($0)" }
    case .int64(let a): a.prefix(shownElements).map { "\($0)" }
    case .float32(let a): a.prefix(shownElements).map { "\($0)" }
    case .float64(let a): a.prefix(shownElements).map { "\($0)" }
    case .bool(let a): a.prefix(shownElements).map { "\($0)" }
    case .string(let a): (0..<min(a.count, shownElements)).map { quoted(a[$0]) }
    }
  let rest = array.count > shownElements ? ", ... \(array.count) elements" : ""
  return "[" + shown.joined(separator: ", ") + rest + "]"
}

private func quoted(_ text: String) -> String {
  let cut = text.unicodeScalars.prefix(shownCharacters + 1)
  if cut.count <= shownCharacters { return "\"\(printable(text))\"" }
  return "\"\(printable(String(String.UnicodeScalarView(cut.prefix(shownCharacters)))))\"... \(text.utf8.count) bytes"
}
