import Synchronization

/// Named tensors for comparing numerics with another runtime: with OCCAM_DUMP=FOLDER every probed tensor becomes
/// FOLDER/NAME.npy (float32, C order). Costs one nil check when off.
package enum Probe {
  package static let folder: String? = Switch.dump.value

  package static func tensor(_ name: @autoclosure () -> String, _ view: MatrixView<Float>) {
    guard let folder else { return }
    let path = "\(folder)/\(name()).npy"
    do {
      try Files.write(npy(view), to: path)
    } catch {
      Log.warning("OCCAM_DUMP: \(error)")
    }
  }

  /// NumPy format 1.0: magic, version, little-endian header length, a Python dict padded to 64 bytes, then the data.
  package static func npy(_ view: MatrixView<Float>) -> [UInt8] {
    var header = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(view.rows), \(view.columns)), }"
    header += String(repeating: " ", count: 63 - (10 + header.utf8.count) % 64) + "\n"
    var bytes: [UInt8] = [0x93] + Array("NUMPY".utf8) + [1, 0]
    bytes += [UInt8(header.utf8.count & 255), UInt8(header.utf8.count >> 8)] + Array(header.utf8)
    for row in 0..<view.rows {
      bytes.append(contentsOf: UnsafeRawBufferPointer(start: view.row(row), count: view.columns * 4))
    }
    return bytes
  }
}
