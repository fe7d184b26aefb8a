/// Single precision: the numbers themselves.
package enum PlainF32: BlockFormat {
  package static var name: String { "F32" }
  package static var elements: Int { 1 }
  package static var bytes: Int { 4 }
  package static var factors: BlockFactors? { nil }

  package static func decode(_ block: UnsafeRawPointer, into x: UnsafeMutablePointer<Float>) {
    x.pointee = block.loadUnaligned(as: Float.self)
  }

  package static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutableRawPointer) {
    block.storeBytes(of: x.pointee, as: Float.self)
  }

  package static func decode(_ source: UnsafeRawPointer, count: Int, into x: UnsafeMutablePointer<Float>) {
    UnsafeMutableRawPointer(x).copyMemory(from: source, byteCount: count * 4)
  }

  package static func encode(_ x: UnsafePointer<Float>, count: Int, into target: UnsafeMutableRawPointer) {
    target.copyMemory(from: x, byteCount: count * 4)
  }

  package static func isFinite(_ source: UnsafeRawPointer, count: Int) -> Bool {
    areFinite(source, count, UInt32.self, exponent: 0x7f80_0000)
  }
}

/// Half precision.
package enum PlainF16: BlockFormat {
  package static var name: String { "F16" }
  package static var elements: Int { 1 }
  package static var bytes: Int { 2 }
  package static var factors: BlockFactors? { nil }

  package static func decode(_ block: UnsafeRawPointer, into x: UnsafeMutablePointer<Float>) {
    x.pointee = Half.float(block.loadUnaligned(as: UInt16.self))
  }

  package static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutableRawPointer) {
    block.storeBytes(of: Half.bits(x.pointee), as: UInt16.self)
  }

  package static func isFinite(_ source: UnsafeRawPointer, count: Int) -> Bool {
    areFinite(source, count, UInt16.self, exponent: 0x7c00)
  }
}

/// bfloat16.
package enum PlainBF16: BlockFormat {
  package static var name: String { "BF16" }
  package static var elements: Int { 1 }
  package static var bytes: Int { 2 }
  package static var factors: BlockFactors? { nil }

  package static func decode(_ block: UnsafeRawPointer, into x: UnsafeMutablePointer<Float>) {
    x.pointee = BrainFloat.float(block.loadUnaligned(as: UInt16.self))
  }

  package static func encode(_ x: UnsafePointer<Float>, into block: UnsafeMutableRawPointer) {
    block.storeBytes(of: BrainFloat.bits(x.pointee), as: UInt16.self)
  }

  package static func isFinite(_ source: UnsafeRawPointer, count: Int) -> Bool {
    areFinite(source, count, UInt16.self, exponent: 0x7f80)
  }
}

/// Whether no word has all its exponent bits set.
@inline(__always)
private func areFinite<Word: FixedWidthInteger & BitwiseCopyable>(
  _ source: UnsafeRawPointer, _ count: Int, _: Word.Type, exponent: Word
) -> Bool {
  var bad = false
  for i in 0..<count {
    let word = source.loadUnaligned(fromByteOffset: i * MemoryLayout<Word>.size, as: Word.self)
    bad = bad || word & exponent == exponent
  }
  return !bad
}
