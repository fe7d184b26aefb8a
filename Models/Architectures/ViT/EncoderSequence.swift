import OccamCore

/// Which row of the encoder's sequence holds what: class token, patches, register.
struct EncoderSequence {
  let count: Int
  let classToken: Int?
  let patches: Range<Int>
  let register: Int?
  /// Rows whose output becomes the image's features, in patch order, the register last.
  let selected: [Int]

  init(shape: VisionShape, patches patchCount: Int, differences: PeerDifferences, register wantsRegister: Bool) {
    let classRows = shape.hasClassToken ? 1 : 0
    count = patchCount + classRows + (wantsRegister ? 1 : 0)
    register = wantsRegister ? count - 1 : nil
    let shifted = classRows..<(classRows + patchCount)
    let classIsLast = differences.contains(.classTokenIsLast)
    classToken = shape.hasClassToken ? (classIsLast ? patchCount : 0) : nil
    patches = classIsLast ? 0..<patchCount : shifted
    selected = Array(shifted) + (wantsRegister ? [count - 1] : [])
  }

  /// The rows whose attention scores the others: the class token, or without one all patches and the register.
  var scoring: [Int] { classToken.map { [$0] } ?? visual }

  /// s1 of every patch, then of the register, out of all rows'.
  func stageOneScores(_ scores: [Float]) -> [Float] { visual.map { scores[$0] } }

  private var visual: [Int] { Array(patches) + (register.map { [$0] } ?? []) }
}
