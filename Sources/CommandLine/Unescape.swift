/// The escapes of an argument made characters, by the rules of llama.cpp's `--escape` (common/common.cpp,
/// `string_process_escapes`): `\n \r \t \' \" \\`, and `\xHH` for a byte. Anything else, a backslash at the end as well,
/// stays as it is. Two places behind `\x` are read as C's `strtol` reads them: a space or a sign may stand for the first.
/// - Returns: the text; bytes that are not UTF-8 show as U+FFFD.
package func unescape(_ text: String) -> String {
  let bytes = Array(text.utf8)
  var result: [UInt8] = []
  result.reserveCapacity(bytes.count)
  var index = 0
  while index < bytes.count {
    guard bytes[index] == UInt8(ascii: "\\"), index + 1 < bytes.count else {
      result.append(bytes[index])
      index += 1
      continue
    }
    let code = bytes[index + 1]
    index += 2
    switch Character(Unicode.Scalar(code)) {
    case "n": result.append(10)
    case "r": result.append(13)
    case "t": result.append(9)
    case "'", "\"", "\\": result.append(code)
    case "x" where index + 1 < bytes.count:
      if let value = byte(bytes[index], bytes[index + 1]) {
        result.append(value)
        index += 2
      } else {
        result += [92, code]
      }
    default: result += [92, code]
    }
  }
  return String(decoding: result, as: UTF8.self)
}

private func byte(_ first: UInt8, _ second: UInt8) -> UInt8? {
  guard let low = digit(second) else { return nil }
  switch first {
  case 9...13, 32, UInt8(ascii: "+"): return low
  case UInt8(ascii: "-"): return 0 &- low
  default: return digit(first).map { $0 << 4 | low }
  }
}

private func digit(_ byte: UInt8) -> UInt8? {
  switch byte {
  case 48...57: byte - 48
  case 65...70: byte - 55
  case 97...102: byte - 87
  default: nil
  }
}
