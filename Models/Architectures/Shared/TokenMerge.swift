import OccamCore
import OccamImages
import OccamPruning

/// How an encoder's patches become the tokens that the language model sees.
package enum TokenMerge: Sendable, Equatable {
  /// One token a patch.
  case none
  /// `side` x `side` patches become one token, their features one behind the other, row by row (pixel shuffle).
  case concatenate(side: Int)
  /// `side` x `side` patches become one token, the mean of their features (average pooling).
  case average(side: Int)

  /// Sides of the square of patches in a token.
  package var side: Int {
    switch self {
    case .none: 1
    case .concatenate(let side), .average(let side): side
    }
  }

  /// Width of a token's features.
  package func width(hidden: Int) -> Int {
    if case .concatenate(let side) = self { return hidden * side * side }
    return hidden
  }

  /// Tokens on each side of a tile.
  package func tokensPerSide(_ shape: VisionShape) -> Int { shape.patchesPerSide / side }

  /// A token's score is the mean of its patches'. The register is alone in its group and fills it with copies of itself.
  package func merge(_ encoded: EncodedPatches, grid: TokenGrid) -> EncodedTile {
    guard side > 1 else {
      return EncodedTile(
        features: encoded.features, width: encoded.hidden, hasRegister: encoded.hasRegister, grid: grid,
        scores: encoded.tokenScores, planes: encoded.planes)
    }
    let merged = grid.merged(side)
    let scores = encoded.tokenScores?.merged(groups: merged.count) { patch in
      patch / grid.columns / side * merged.columns + patch % grid.columns / side
    }
    return EncodedTile(
      features: merge(encoded.features, encoded, grid), width: width(hidden: encoded.hidden),
      hasRegister: encoded.hasRegister, grid: merged, scores: scores,
      planes: encoded.planes.map { merge($0, encoded, grid) })
  }

  /// Features or a plane, [patches + register x hidden] -> [tokens + register x width].
  private func merge(
    _ buffer: AlignedBuffer<Float>, _ encoded: EncodedPatches, _ grid: TokenGrid
  ) -> AlignedBuffer<Float> {
    let (source, merged, side) = (encoded.view(buffer), grid.merged(side), side)
    let width = width(hidden: encoded.hidden)
    let rows = merged.count + (encoded.hasRegister ? 1 : 0)
    let features = AlignedBuffer<Float>(count: rows * width)
    let target = MatrixView(features, rows: rows, columns: width)
    for token in 0..<merged.count {
      let first = token / merged.columns * side * grid.columns + token % merged.columns * side
      for part in 0..<side * side {
        add(source.row(first + part / side * grid.columns + part % side), part, encoded.hidden, target.row(token))
      }
    }
    if encoded.hasRegister {
      for part in 0..<side * side {
        add(source.row(encoded.patches), part, encoded.hidden, target.row(merged.count))
      }
    }
    return features
  }

  private func add(_ patch: UnsafePointer<Float>, _ part: Int, _ hidden: Int, _ token: UnsafeMutablePointer<Float>) {
    if case .concatenate = self {
      (token + part * hidden).update(from: patch, count: hidden)
    } else {
      let share = 1 / Float(side * side)
      for index in 0..<hidden { token[index] += patch[index] * share }
    }
  }
}

/// One tile behind the encoder: what stage I chooses from and the projector takes.
package struct EncodedTile: Sendable {
  /// One row a token, then the register's if there is one: [tokens + register x width].
  package let features: AlignedBuffer<Float>
  package let width: Int
  package let hasRegister: Bool
  /// Where the tokens lie on the photo.
  package let grid: TokenGrid
  /// Stage I scores of the tokens and what they are held against; nil when the encoder was not asked for them.
  package let scores: TokenScores?
  /// Like `features`, of inner layers of the encoder (DeepStack).
  package let planes: [AlignedBuffer<Float>]

  package init(
    features: AlignedBuffer<Float>, width: Int, hasRegister: Bool, grid: TokenGrid, scores: TokenScores?,
    planes: [AlignedBuffer<Float>] = []
  ) {
    self.features = features
    self.planes = planes
    self.width = width
    self.hasRegister = hasRegister
    self.grid = grid
    self.scores = scores
  }

  /// A tile that shows padding alone: it is not encoded, and no token stands for it.
  package static func nothing(of tile: PreparedImage, width: Int, _ request: EncoderRequest) -> EncodedTile {
    EncodedTile(
      features: AlignedBuffer(count: 0), width: width, hasRegister: false,
      grid: TokenGrid(columns: 0, rows: 0, patch: 1, placement: tile.placement),
      scores: request.wantsScores ? TokenScores(scores: []) : nil)
  }

  /// The tokens inside `window` alone, with the register.
  package func cropped(to window: TokenWindow) -> EncodedTile {
    guard window.count != tokens else { return self }
    let kept = window.rows.flatMap { row in window.columns.map { row * grid.columns + $0 } }
    let rows = kept + (hasRegister ? [tokens] : [])
    func gather(_ source: AlignedBuffer<Float>) -> AlignedBuffer<Float> {
      let gathered = AlignedBuffer<Float>(count: rows.count * width, zeroed: false)
      for (target, row) in rows.enumerated() {
        (gathered.pointer + target * width).update(from: source.pointer + row * width, count: width)
      }
      return gathered
    }
    let scores = scores.map { scores in
      let left = kept.map { scores.scores[$0] }
      return scores.kind == .mean
        ? TokenScores(scores: left) : TokenScores(scores: left, reference: scores.reference, kind: scores.kind)
    }
    return EncodedTile(
      features: gather(features), width: width, hasRegister: hasRegister,
      grid: grid.cropped(rows: window.rows, columns: window.columns), scores: scores, planes: planes.map(gather))
  }

  /// The register not counted.
  package var tokens: Int { grid.count }
  package var rows: MatrixView<Float> { view(features) }

  /// `features` or a plane, [tokens + register x width].
  package func view(_ buffer: AlignedBuffer<Float>) -> MatrixView<Float> {
    MatrixView(buffer, rows: tokens + (hasRegister ? 1 : 0), columns: width)
  }
}

extension EncodedPatches {
  /// The scores as stage I compares them: against the register's, or against their own mean.
  package var tokenScores: TokenScores? {
    guard let scores else { return nil }
    let visual = Array(scores.prefix(patches))
    guard hasRegister, let register = scores.last else { return TokenScores(scores: visual) }
    return TokenScores(scores: visual, reference: register, kind: .register)
  }
}
