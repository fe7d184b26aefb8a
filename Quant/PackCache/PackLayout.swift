import OccamCore

/// The bytes of a file of packed weights. All numbers are little-endian.
///
///     0       8   magic "occampak"
///     8       4   version
///     12      4   alignment of weights in the file: 4096, a page
///     16      8   bytes of the whole file
///     24      8   bytes of the key
///     32      8   bytes of the table
///     40      8   number of weights
///     48      8   zero
///     56      8   checksum of bytes 0..<56, then of key and table
///     64          key: UTF-8, all that decides whether these weights are the wanted ones (`PackKey`)
///                 table, a record a weight: bytes of its name (4), the name in UTF-8, its offset in the file (8), its
///                 length (8), the checksum of its bytes (8)
///                 zeros up to a page, then weight by weight in the table's order, each from a page on, zeros between
///     end - 16    trailer: magic "packends", the header's checksum
///
/// **Torn data.** A file comes to its name whole or not at all: it is written under another name, the trailer last,
/// handed to the disk (fsync), and only then renamed. Magic, sizes, checksum and trailer are checked when it is opened,
/// which reads header, table and last page only: a cut file, one whose tail never reached the disk, or a changed table is
/// refused. What remains is a disk that says it has data which it has not, or loses some later, in the middle of a file:
/// `OCCAM_PACK_CHECK=1` compares the weights' own checksums, which reads all of them.
package enum PackLayout {
  package static let magic: [UInt8] = Array("occampak".utf8)
  package static let trailerMagic: [UInt8] = Array("packends".utf8)
  package static let version: UInt32 = 1
  package static let alignment = 4096
  package static let headerBytes = 64
  package static let checksumOffset = 56
  package static let trailerBytes = 16
  /// Of a record without its name.
  package static let recordBytes = 28

  /// Limits of what is believed of a file: far above what models have.
  package static let mostKeyBytes = 1 << 20
  package static let mostTableBytes = 1 << 28
  package static let mostNameBytes = 1 << 16

  package static func aligned(_ offset: Int) -> Int { (offset + alignment - 1) & ~(alignment - 1) }

  /// - Parameters:
  ///   - header: the first 56 bytes.
  ///   - body: key and table.
  package static func checksum(_ header: UnsafeRawBufferPointer, _ body: UnsafeRawBufferPointer) -> UInt64 {
    Checksum.of(body, seed: Checksum.of(header))
  }
}

/// All that decides whether packed weights are the wanted ones.
///
/// The *name* of the file comes from where the model lies and how it is loaded, so that a model which is changed or
/// replaced takes the place of its old weights. The *text* stands in the file and must be the same to the letter: of each
/// file of the model device, inode, size and times (`FileIdentity`) and a checksum of header and tensor table, the kernel
/// set, the panels' version, and the format that floats take. What differs from matrix to matrix stands in its name in the
/// table: tensor, rows, shape, formats, limited sums.
package struct PackKey: Sendable, Equatable {
  package let fileName: String
  package let text: String

  /// Ends the names of all such files.
  package static let suffix = ".occampack"

  /// - Parameters:
  ///   - path: of the model, links resolved.
  ///   - identity: lines that tell this version of its files from every other.
  ///   - variant: lines that say how it is loaded.
  package init(path: String, identity: [String], variant: [String]) {
    let place = ([path] + variant).joined(separator: "\n")
    let name = (path.split(separator: "/").last ?? "model").unicodeScalars.prefix(80).map { scalar in
      // Nothing that a shell or a terminal could take for something else.
      let isPlain = scalar.isASCII && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
      return isPlain || scalar == "-" || scalar == "_" ? Character(scalar) : "-"
    }
    let digits = String(Checksum.of(place), radix: 16)
    fileName = String(name) + "-" + String(repeating: "0", count: 16 - digits.count) + digits + PackKey.suffix
    text = (variant + identity).joined(separator: "\n")
  }
}
