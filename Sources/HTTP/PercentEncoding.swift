/// Text in URLs (RFC 3986, 2.1).
package enum PercentEncoding {
  /// The text; nil where an escape is cut or no number, where the bytes are no UTF-8, and where a zero byte is among them:
  /// it would end the text for the system, but not for whoever checks it.
  /// - Parameter plusIsSpace: as in the queries of HTML forms.
  package static func decode(_ bytes: some Sequence<UInt8>, plusIsSpace: Bool = false) -> String? {
    var result: [UInt8] = []
    result.reserveCapacity(bytes.underestimatedCount)
    var rest = bytes.makeIterator()
    while let byte = rest.next() {
      if byte == UInt8(ascii: "%") {
        guard let high = rest.next().flatMap(ASCII.hexDigit), let low = rest.next().flatMap(ASCII.hexDigit) else {
          return nil
        }
        result.append(high << 4 | low)
      } else {
        result.append(plusIsSpace && byte == UInt8(ascii: "+") ? ASCII.space : byte)
      }
    }
    return result.contains(0) ? nil : String(validating: result, as: UTF8.self)
  }
}
