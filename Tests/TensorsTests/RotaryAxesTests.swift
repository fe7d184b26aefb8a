import Glibc
import OccamCore
import OccamMatmul
import OccamTensors
import OccamTestSupport
import Testing

/// Rotary positions of several dimensions, and states without entries.
@Suite struct RotaryAxesTests {
  private static let axes: [RotaryAxis] = [.t, .y, .x, .x, .y, .t, .t, .x]

  @Test("each pair turns by its own axis", arguments: VectorSets.names, [RotaryTable.Style.adjacent, .halves])
  func pairsFollowTheirAxis(set: String, style: RotaryTable.Style) throws {
    let (heads, dimension) = (3, 20)
    let frequencies = (0..<8).map { 1 / Double($0 * $0 + 1) }
    let positions = [
      Position(t: 5, y: 7, x: 300), Position(12), Position(t: 0, y: 1, x: 0), Position(t: 70_000, y: 2, x: 255),
    ]
    let table = RotaryTable(frequencies: frequencies, style: style, axes: RotaryAxesTests.axes)
    let ops = try TensorOps(set)
    let x = Matrix(rows: positions.count, columns: heads * dimension, seed: 17)
    let before = x.values
    positions.withUnsafeBufferPointer { positions in
      guard let base = positions.baseAddress else { return }
      ops.rope(x.view, heads: heads, headDimension: dimension, positions: base, table: table)
    }
    for (row, position) in positions.enumerated() {
      for head in 0..<heads {
        for (pair, axis) in RotaryAxesTests.axes.enumerated() {
          let number = axis == .t ? position.t : axis == .y ? position.y : position.x
          let (first, second) = style == .adjacent ? (2 * pair, 2 * pair + 1) : (pair, pair + 8)
          let start = (row * heads + head) * dimension
          let (a, b) = (Double(before[start + first]), Double(before[start + second]))
          let angle = Double(number) * frequencies[pair]
          #expect(abs(Double(x.values[start + first]) - (a * cos(angle) - b * sin(angle))) < 1e-4)
          #expect(abs(Double(x.values[start + second]) - (a * sin(angle) + b * cos(angle))) < 1e-4)
        }
        // Behind the table's pairs nothing turns.
        let rest = (row * heads + head) * dimension + 16..<(row * heads + head + 1) * dimension
        #expect(Array(x.values[rest]) == Array(before[rest]))
      }
    }
  }

  @Test func recurrentStatesGoBackToTheirCopies() {
    let state = RecurrentState(RecurrentShape(floats: 4))
    func fill(_ value: Float) { state.values.pointer.update(repeating: value, count: 4) }
    func value() -> [Float] { Array(state.values.buffer) }
    fill(1)
    state.snapshot(at: 10)
    fill(2)
    state.snapshot(at: 20)
    fill(3)
    state.snapshot(at: 30)
    fill(4)
    // The first stays, the second makes room.
    state.snapshot(at: 40)
    #expect(state.byteCount == RecurrentShape(floats: 4).byteCount)
    #expect(state.byteCount == state.byteCount(forTokens: 1000))
    #expect(state.resumePoint(atMost: 45) == 40 && state.resumePoint(atMost: 39) == 30)
    #expect(state.resumePoint(atMost: 29) == 10 && state.resumePoint(atMost: 9) == 0)
    state.keep([0], ofLast: 5)
    #expect(value() == [4, 4, 4, 4])
    state.resume(at: 30)
    #expect(value() == [3, 3, 3, 3] && state.resumePoint(atMost: 45) == 30)
    state.resume(at: 10)
    #expect(value() == [1, 1, 1, 1] && state.resumePoint(atMost: 45) == 10)
    state.resume(at: 0)
    #expect(value() == [0, 0, 0, 0] && state.resumePoint(atMost: 45) == 0)
    // Nothing is known of the beginning but that it is zeros.
    state.snapshot(at: 0)
    #expect(state.resumePoint(atMost: 0) == 0)
  }
}
