import OccamImages

/// How a picture becomes tiles of the encoder's size, and how their tokens stand in the prompt. One a family, beside its
/// projector; as the reference processor of the family does it.
package protocol ImageProcessor: Sendable {
  /// From the size alone (after orientation): for planning memory and for refusing early.
  func layout(width: Int, height: Int) -> PictureLayout
  /// The size that a picture is resampled to before it is cut. A decoder may give a much larger one smaller.
  func canvas(width: Int, height: Int) -> ImageSize
  func prepare(_ image: Image) -> PreparedPicture
  /// The same with another range of image tokens.
  /// - Throws: `ModelError` where the family's pictures always take as many.
  func limited(to budget: ImageTokenBudget) throws -> any ImageProcessor
}

extension ImageProcessor {
  package func limited(to budget: ImageTokenBudget) throws -> any ImageProcessor {
    guard budget == ImageTokenBudget() else {
      throw ModelError(
        .badValue, "image tokens", "this model's pictures take a fixed number of tokens; it cannot be limited")
    }
    return self
  }
}

/// How many tokens a user wants a picture to take; nil: as the family does.
package struct ImageTokenBudget: Sendable, Equatable {
  package var minimum: Int?
  package var maximum: Int?

  package init(minimum: Int? = nil, maximum: Int? = nil) {
    self.minimum = minimum
    self.maximum = maximum
  }
}

/// A part of a tile's grid of tokens: what lies outside shows padding and goes nowhere.
package struct TokenWindow: Sendable, Equatable {
  package var rows: Range<Int>
  package var columns: Range<Int>

  package init(rows: Range<Int>, columns: Range<Int>) {
    self.rows = rows
    self.columns = columns
  }

  package var count: Int { rows.count * columns.count }
}

/// Tiles of one picture, and what the prompt holds for it.
package struct PictureLayout: Sendable, Equatable {
  /// Of each tile the tokens that count; they are numbered row by row.
  package var tiles: [TokenWindow]
  package var frame: [FrameItem]

  package init(tiles: [TokenWindow], frame: [FrameItem]) {
    self.tiles = tiles
    self.frame = frame
  }

  /// One tile of `side` x `side` tokens, and what stands around it.
  package static func single(side: Int, before: [FrameItem] = [], after: [FrameItem] = []) -> PictureLayout {
    let window = TokenWindow(rows: 0..<side, columns: 0..<side)
    return PictureLayout(tiles: [window], frame: before + [.tokens(tile: 0, 0..<window.count)] + after)
  }

  /// Image tokens: those of all tiles, and learned ones; markers are text.
  package var imageTokens: Int {
    frame.reduce(0) { sum, item in
      switch item {
      case .text: sum
      case .tokens(_, let range): sum + range.count
      case .learned: sum + 1
      }
    }
  }
}

/// What stands in the prompt for a picture, in order.
package enum FrameItem: Sendable, Equatable {
  /// Markers, whose special tokens are parsed. Neither image tokens nor a part of the question.
  case text(String)
  /// Some of a tile's tokens, numbered within its window.
  case tokens(tile: Int, Range<Int>)
  /// An embedding that the file stores by this name, one token: the end of an image's row, say.
  case learned(String)
}

/// A picture cut into tiles. Tiles are made when they are asked for, so that one of them is in memory at a time.
package struct PreparedPicture: Sendable {
  package let layout: PictureLayout
  package let tile: @Sendable (Int) -> PreparedImage

  package init(layout: PictureLayout, tile: @escaping @Sendable (Int) -> PreparedImage) {
    self.layout = layout
    self.tile = tile
  }
}
