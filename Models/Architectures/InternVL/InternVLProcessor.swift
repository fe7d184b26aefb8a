import OccamImages

/// InternVL's pictures: stretched to the grid of tiles whose proportions are nearest to theirs, and cut; an overview
/// follows several tiles. Reference: Hugging Face transformers, image_processing_pil_got_ocr2.py (with `crop_to_patches`)
/// and processing_internvl.py for the markers.
struct InternVLProcessor: ImageProcessor {
  let shape: VisionShape
  /// How many tiles a picture may have, the overview not counted.
  let tiles: ClosedRange<Int>
  let tokensPerSide: Int
  /// By area, then by width: the order decides between equals.
  private let grids: [Grid]

  struct Grid: Sendable, Equatable {
    var columns: Int
    var rows: Int
  }

  /// - Precondition: at least one tile, and no more than `TileLimits` allow.
  init(shape: VisionShape, tiles: ClosedRange<Int>, tokensPerSide: Int) {
    self.shape = shape
    self.tiles = tiles
    self.tokensPerSide = tokensPerSide
    grids = tiles.flatMap { count in
      (1...count).filter { count % $0 == 0 }.map { Grid(columns: $0, rows: count / $0) }
    }
  }

  var maximumTiles: Int { tiles.upperBound > 1 ? tiles.upperBound + 1 : 1 }

  /// Of grids with equal proportions the larger one, if the picture has more than half its pixels.
  func grid(width: Int, height: Int) -> Grid {
    let aspect = Double(width) / Double(height)
    let area = Double(width) * Double(height)
    var (best, least) = (Grid(columns: 1, rows: 1), Double.infinity)
    for grid in grids {
      let difference = abs(aspect - Double(grid.columns) / Double(grid.rows))
      let pixels = Double(shape.imageSize * shape.imageSize * grid.columns * grid.rows)
      if difference < least || (difference == least && area > 0.5 * pixels) { (best, least) = (grid, difference) }
    }
    return best
  }

  func layout(width: Int, height: Int) -> PictureLayout { layout(grid(width: width, height: height)) }

  /// Tiles row by row, the overview last, nothing between them.
  private func layout(_ grid: Grid) -> PictureLayout {
    let window = TokenWindow(rows: 0..<tokensPerSide, columns: 0..<tokensPerSide)
    let cut = grid.columns * grid.rows
    let count = cut > 1 ? cut + 1 : 1
    let tokens = (0..<count).map { FrameItem.tokens(tile: $0, 0..<window.count) }
    return PictureLayout(
      tiles: Array(repeating: window, count: count), frame: [.text("<img>")] + tokens + [.text("</img>")])
  }

  func canvas(width: Int, height: Int) -> ImageSize {
    let grid = grid(width: width, height: height)
    return ImageSize(width: grid.columns * shape.imageSize, height: grid.rows * shape.imageSize)
  }

  func prepare(_ image: Image) -> PreparedPicture {
    let grid = grid(width: image.width, height: image.height)
    let (shape, tile, original) = (shape, shape.imageSize, (image.width, image.height))
    let size = (width: grid.columns * tile, height: grid.rows * tile)
    let canvas = resize(image, width: size.width, height: size.height, filter: .bicubic)
    return PreparedPicture(layout: layout(grid)) { index in
      guard index < grid.columns * grid.rows else {
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
