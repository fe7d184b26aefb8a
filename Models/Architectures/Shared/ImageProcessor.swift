import OccamImages

/// How a picture becomes tiles of the encoder's size, and how their tokens stand in the prompt. One a family, beside its
/// projector; as the reference processor of the family does it.
package protocol ImageProcessor: Sendable {
  /// From the size alone (after orientation): for planning memory and for refusing early.
  func layout(width: Int, height: Int) -> PictureLayout
  func prepare(_ image: Image) -> PreparedPicture
}

/// Tiles of one picture, and what the prompt holds for it.
package struct PictureLayout: Sendable, Equatable {
  package var tiles: Int
  package var frame: [FrameItem]

  package init(tiles: Int, frame: [FrameItem]) {
    self.tiles = tiles
    self.frame = frame
  }

  /// One tile and nothing around it.
  package static func single(tokens: Int) -> PictureLayout {
    PictureLayout(tiles: 1, frame: [.tokens(tile: 0, 0..<tokens)])
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
  /// Some of a tile's tokens, in its own numbering.
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
