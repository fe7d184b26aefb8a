import OccamCore
import OccamModels
import OccamTensors

/// Tokens as rows of a pass, with their positions, in memory that is used again: loading as many as before allocates
/// nothing.
final class TokenRows {
  private(set) var count = 0
  private var tokens = AlignedBuffer<Int32>(count: 1)
  private var positions = AlignedBuffer<Position>(count: 1)

  /// - Parameter position: of `first`; the others stand behind it, one by one.
  func load(_ first: Int32, _ others: some Collection<Int32>, at position: Int32) {
    resize(1 + others.count)
    tokens.pointer[0] = first
    for (index, token) in others.enumerated() { tokens.pointer[index + 1] = token }
    for row in 0..<count { positions.pointer[row] = Position(position + Int32(row)) }
  }

  /// Those of several sequences, one after the other.
  func load(_ parts: [TokenRows]) {
    resize(parts.reduce(0) { $0 + $1.count })
    var first = 0
    for part in parts {
      (tokens.pointer + first).update(from: part.tokens.pointer, count: part.count)
      (positions.pointer + first).update(from: part.positions.pointer, count: part.count)
      first += part.count
    }
  }

  private func resize(_ count: Int) {
    self.count = count
    guard tokens.count < count else { return }
    tokens = AlignedBuffer(count: count)
    positions = AlignedBuffer(count: count)
  }

  /// What it returns points to these rows: they must outlive the pass.
  /// - Parameter hidden: [count x hidden], becomes the tokens' embeddings.
  func input(_ hidden: MatrixView<Float>, _ decoder: any TextDecoder, lastRowOnly: Bool) -> PassInput {
    for row in 0..<count { decoder.embed(tokens.pointer[row], into: hidden.row(row)) }
    return PassInput(
      hidden: hidden, positions: UnsafeBufferPointer(start: positions.pointer, count: count),
      tokens: UnsafeBufferPointer(start: tokens.pointer, count: count), lastRowOnly: lastRowOnly)
  }
}
