import OccamCore

/// Which row of the encoder's sequence holds what: class token, patches, register.
struct EncoderSequence {
  let count: Int
  let classToken: Int?
  let patches: Range<Int>
  let register: Int?
  /// Rows whose output becomes the image's features, in patch order, the register last.
  let selected: [Int]

  init(shape: VisionShape, differences: PeerDifferences, register wantsRegister: Bool) {
    let classRows = shape.hasClassToken ? 1 : 0
    count = shape.patches + classRows + (wantsRegister ? 1 : 0)
    register = wantsRegister ? count - 1 : nil
    let shifted = classRows..<(classRows + shape.patches)
    let classIsLast = differences.contains(.classTokenIsLast)
    classToken = shape.hasClassToken ? (classIsLast ? shape.patches : 0) : nil
    patches = classIsLast ? 0..<shape.patches : shifted
    selected = Array(shifted) + (wantsRegister ? [count - 1] : [])
  }

  /// s1 of every patch, then of the register.
  /// - Parameter attention: to all rows, mean over heads: the class token's, or without one the mean of all patches' and
  ///   the register's.
  func stageOneScores(_ attention: UnsafePointer<Float>) -> [Float] {
    (Array(patches) + (register.map { [$0] } ?? [])).map { attention[$0] }
  }
}
