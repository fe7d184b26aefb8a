import OccamCore
import OccamTensors

/// Two-dimensional rotary positions, as the vision encoders of Qwen2-VL and its successors have them: numbers (i, i + d/2)
/// of a head of width d turn together, the first d/4 pairs by the patch's row, the other d/4 by its column, both with the
/// same frequencies. Reference: Hugging Face transformers, modeling_qwen2_vl.py, `Qwen2VLVisionRotaryEmbedding`.
enum VisionRotary {
  /// Cosines and sines for `positions`. Pair j of d/4 turns by base^(-4j / d) a row, and again a column.
  /// - Precondition: `headDimension` is a multiple of 4.
  static func table(headDimension: Int, base: Double = 10_000) -> RotaryTable {
    precondition(headDimension > 0 && headDimension % 4 == 0, "VisionRotary: heads of four parts")
    let half = RotaryTable.frequencies(dimension: headDimension / 2, base: base)
    let axes = Array(repeating: RotaryAxis.y, count: half.count) + Array(repeating: .x, count: half.count)
    return RotaryTable(frequencies: half + half, style: .halves, axes: axes)
  }

  /// As Gemma 4's encoder has them: the first half of a head turns by the patch's column, the second by its row, each as a
  /// head of its own. Pair j of the d/4 of a half turns by base^(-4j / d) a column or row.
  /// Reference: Hugging Face transformers, modeling_gemma4.py, `apply_multidimensional_rope`.
  /// - Precondition: `headDimension` is a multiple of 4.
  static func halves(headDimension: Int, base: Double) -> [RotaryPart] {
    precondition(headDimension > 0 && headDimension % 4 == 0, "VisionRotary: heads of four parts")
    let frequencies = RotaryTable.frequencies(dimension: headDimension / 2, base: base)
    return [RotaryAxis.x, .y].enumerated().map { index, axis in
      let axes = Array(repeating: axis, count: frequencies.count)
      return RotaryPart(
        table: RotaryTable(frequencies: frequencies, style: .halves, axes: axes), first: index * headDimension / 2)
    }
  }

  /// Where patches stand, `y` the row and `x` the column in the whole picture; `t` is 0.
  /// - Parameters:
  ///   - patches: their numbers, counted row by row, in the order of the encoder's sequence.
  ///   - columns: patches in a row of the picture.
  ///   - register: one position more, behind: (0, 0), which turns nothing.
  static func positions(of patches: some Sequence<Int>, columns: Int, register: Bool) -> [Position] {
    patches.map { Position(t: 0, y: Int32($0 / columns), x: Int32($0 % columns)) } + (register ? [Position(0)] : [])
  }
}

/// Numbers of a head that turn by a table of their own.
struct RotaryPart: Sendable {
  let table: RotaryTable
  /// Of a head.
  let first: Int

  /// Turns all heads of x, [rows x heads * head dimension], in place.
  func apply(_ x: MatrixView<Float>, heads: Int, positions: UnsafePointer<Position>, _ compute: Compute) {
    compute.tensors.rope(
      x, heads: heads, headDimension: x.columns / heads, positions: positions, table: table, first: first)
  }
}
