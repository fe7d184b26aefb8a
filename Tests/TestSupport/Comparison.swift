/// Cosine of the angle between two vectors, computed in Double.
package func cosine(_ a: [Float], _ b: [Float]) -> Double {
  precondition(a.count == b.count, "cosine: \(a.count) and \(b.count) elements")
  var (dot, aa, bb) = (0.0, 0.0, 0.0)
  for (x, y) in zip(a, b) {
    dot += Double(x) * Double(y)
    aa += Double(x) * Double(x)
    bb += Double(y) * Double(y)
  }
  return dot / (aa * bb).squareRoot()
}

/// Standard deviation (of the whole population).
package func deviation(_ values: [Float]) -> Double {
  let mean = values.reduce(0.0) { $0 + Double($1) } / Double(values.count)
  return (values.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / Double(values.count)).squareRoot()
}

/// Root mean square difference in units of the expected values' standard deviation. The goldens' manifest gives
/// llama.cpp's own differences in this unit.
package func error(of found: [Float], from expected: [Float]) -> Double {
  precondition(found.count == expected.count, "error: \(found.count) and \(expected.count) elements")
  let sum = zip(found, expected).reduce(0.0) {
    $0 + (Double($1.0) - Double($1.1)) * (Double($1.0) - Double($1.1))
  }
  return (sum / Double(found.count)).squareRoot() / deviation(expected)
}

/// The largest difference in units of the expected values' standard deviation.
package func largestError(of found: [Float], from expected: [Float]) -> Double {
  precondition(found.count == expected.count, "largestError: \(found.count) and \(expected.count) elements")
  return zip(found, expected).reduce(0.0) { max($0, abs(Double($1.0) - Double($1.1))) } / deviation(expected)
}

/// CRC-32 of zlib and PNG (polynomial 0xEDB88320, reflected).
package func crc32(_ bytes: [UInt8]) -> UInt32 {
  let table: [UInt32] = (0..<256).map { index in
    (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? 0xEDB8_8320 ^ value >> 1 : value >> 1 }
  }
  return ~bytes.withUnsafeBufferPointer { bytes in
    bytes.reduce(0xFFFF_FFFF as UInt32) { table[Int(($0 ^ UInt32($1)) & 0xFF)] ^ $0 >> 8 }
  }
}
