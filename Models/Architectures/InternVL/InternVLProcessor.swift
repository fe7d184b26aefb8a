import OccamImages

/// InternVL's pictures: stretched to the grid of tiles whose proportions are nearest to theirs, and cut; an overview
/// follows several tiles. Reference: Hugging Face transformers, image_processing_pil_got_ocr2.py (with `crop_to_patches`)
/// and processing_internvl.py for the markers.
struct InternVLProcessor: ImageProcessor {
  let shape: VisionShape
  let tokensPerSide: Int
  /// The most that a picture is cut into, the overview included.
  let maximumTiles: Int
  private let grids: TileGrids

  /// - Parameter tiles: how many a picture may have, the overview not counted.
  init(shape: VisionShape, tiles: ClosedRange<Int>, tokensPerSide: Int) {
    self.shape = shape
    self.tokensPerSide = tokensPerSide
    maximumTiles = tiles.upperBound > 1 ? tiles.upperBound + 1 : 1
    grids = TileGrids(side: shape.imageSize, tiles: tiles)
  }

  func layout(width: Int, height: Int) -> PictureLayout {
    layout(grids.nearest(width: width, height: height))
  }

  /// Tiles row by row, the overview last, nothing between them.
  private func layout(_ grid: TileGrids.Grid) -> PictureLayout {
    let window = TokenWindow(rows: 0..<tokensPerSide, columns: 0..<tokensPerSide)
    let count = grid.count > 1 ? grid.count + 1 : 1
    let tokens = (0..<count).map { FrameItem.tokens(tile: $0, 0..<window.count) }
    return PictureLayout(
      tiles: Array(repeating: window, count: count), frame: [.text("<img>")] + tokens + [.text("</img>")])
  }

  func canvas(width: Int, height: Int) -> ImageSize {
    let grid = grids.nearest(width: width, height: height)
    return ImageSize(width: grid.columns * shape.imageSize, height: grid.rows * shape.imageSize)
  }

  func prepare(_ image: Image) -> PreparedPicture {
    let grid = grids.nearest(width: image.width, height: image.height)
    let (shape, tile, original) = (shape, shape.imageSize, (image.width, image.height))
    let size = (width: grid.columns * tile, height: grid.rows * tile)
    let canvas = resize(image, width: size.width, height: size.height, filter: .bicubic)
    return PreparedPicture(layout: layout(grid)) { index in
      guard index < grid.count else {
        return PreparedImage(
          normalizing: resize(image, width: tile, height: tile, filter: .bicubic), mean: shape.mean,
          deviation: shape.deviation, placement: .whole(original, on: (tile, tile)))
      }
      let (x, y) = (index % grid.columns * tile, index / grid.columns * tile)
      return PreparedImage(
        normalizing: canvas.cropped(x: x, y: y, width: tile, height: tile), mean: shape.mean,
        deviation: shape.deviation, placement: .whole(original, on: size, x: -x, y: -y))
    }
  }
}
