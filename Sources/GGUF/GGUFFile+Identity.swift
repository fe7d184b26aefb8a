import OccamCore

extension GGUFFile {
  /// Lines that tell this version of the file, or of all parts, from every other; nil for what lies in no file.
  ///
  /// The system's word for each part (`FileIdentity`), and a checksum of what stands in front of its tensors: metadata and
  /// tensor table. Tensors are not read; what the system says catches their changes.
  package var identity: [String]? {
    var lines: [String] = []
    for (index, part) in parts.enumerated() {
      guard case .mapped(let file) = part else { return nil }
      let starts = tensors.lazy.filter { $0.part == index }.map(\.byteRange.lowerBound)
      let end = min(starts.min() ?? file.bytes.count, file.bytes.count)
      let header = UnsafeRawBufferPointer(rebasing: file.bytes[..<end])
      lines.append("file \(file.identity) header \(String(Checksum.of(header), radix: 16))")
    }
    return lines
  }
}
