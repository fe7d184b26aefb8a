import OccamCore
import OccamImages
import OccamModels
import OccamPruning

/// One image of a conversation: kept from its encoding on, so that a later question prunes anew from S1 without
/// encoding it again.
struct SessionImage {
  let name: String
  /// The file's bytes, for the keep map.
  let bytes: [UInt8]
  let tiles: [SessionTile]
  /// How the tiles stand in the prompt.
  let frame: [FramePiece]
  /// What `tiles` were made with; other settings encode anew.
  let settings: StageOneSettings
  /// What the last question kept.
  var report: ImagePruningReport?

  /// Image tokens before anything was dropped, registers and markers not counted.
  var total: Int { tiles.reduce(0) { $0 + $1.stageOne.total } }

  /// What the image takes in the prompt, pruned or not.
  func extent(_ scheme: PositionScheme) -> PromptExtent {
    frame.reduce(into: PromptExtent()) { sum, piece in
      switch piece {
      case .marker(let ids): sum.add(ids.count)
      case .tokens(let tile, let range): sum.add(range, columns: tiles[tile].grid.columns, scheme)
      case .learned: sum.add(1)
      }
    }
  }
}

/// Length of a part of a prompt, nothing pruned.
struct PromptExtent: Equatable {
  /// Rows that the model would see: what a context holds.
  var tokens = 0
  /// By which later rows stand further behind.
  var positions = 0

  /// Text, or learned embeddings.
  mutating func add(_ count: Int) {
    tokens += count
    positions += count
  }

  /// A run of a tile's tokens.
  mutating func add(_ range: Range<Int>, columns: Int, _ scheme: PositionScheme) {
    tokens += range.count
    positions += scheme.extent(of: range, columns: columns)
  }

  static func + (one: PromptExtent, other: PromptExtent) -> PromptExtent {
    PromptExtent(tokens: one.tokens + other.tokens, positions: one.positions + other.positions)
  }
}

/// One tile behind stage I.
struct SessionTile {
  let grid: TokenGrid
  /// Projected rows of S1 in token order, then the register's: [kept + register x hidden].
  let embeddings: AlignedBuffer<Float>
  /// Like `embeddings`, for the first text layers one by one (DeepStack).
  var planes: [AlignedBuffer<Float>] = []
  let stageOne: KeepList<TileTokens>
  let hasRegister: Bool
}

/// A `FrameItem`, its text tokenised and its embedding at hand.
enum FramePiece {
  case marker([Int32])
  case tokens(tile: Int, Range<Int>)
  case learned(AlignedBuffer<Float>)
}

/// What decides stage I's outcome.
struct StageOneSettings: Equatable {
  /// The selector's; nil without pruning.
  let method: String?
  let lambda1: Float
  let cap: Int?
  let score: StageOneScore
  let plan: RegisterPlan?

  init(_ selector: (any VisualTokenSelector)?) {
    method = selector?.name
    lambda1 = selector?.settings.lambda1 ?? 0
    cap = selector?.settings.stageOneCap
    score = selector?.settings.score ?? .attention
    plan = selector?.register
  }
}

/// An image behind the encoder, before anything was dropped: several selections can start from it.
package struct EncodedPhoto: Sendable {
  var name: String
  var bytes: [UInt8]
  let frame: [FrameItem]
  package let tiles: [EncodedTile]
  /// Milliseconds.
  package let decodeTime: Double
  package let encodeTime: Double

  /// Visual tokens, registers not counted.
  package var tokens: Int { tiles.reduce(0) { $0 + $1.tokens } }
  /// Stage I scores of all tiles, each held against its own reference; nil when the encoder was not asked for them.
  package var scores: TokenScores? { .joined(tiles.compactMap(\.scores)) }
}
