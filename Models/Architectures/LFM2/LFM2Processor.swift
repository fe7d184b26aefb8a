import OccamImages

/// LFM2-VL's pictures: in their own proportions as one tile, or, much larger than that may be, stretched to the grid of
/// square tiles whose proportions are nearest and cut, with an overview in the picture's proportions behind them.
/// Reference: Hugging Face transformers, image_processing_lfm2_vl.py and processing_lfm2_vl.py for the markers; the numbers
/// are those of the published processors, which no key holds.
struct LFM2Processor: ImageProcessor {
  let shape: VisionShape
  /// Of a picture in its own proportions.
  let budget: ResolutionBudget
  private let grids = TileGrids(side: tileSize, tiles: tiles)

  static let tileSize = 512
  private static let tiles = 2...10
  /// Pictures with more pixels than so many times the budget's are cut.
  private static let tolerance = 2.0

  /// All that may stand round tiles.
  static let markers =
    ["<|image_start|>", "<|image_end|>", "<|img_thumbnail|>"]
    + (1...tiles.upperBound).flatMap { row in (1...tiles.upperBound).map { place(row, $0) } }

  private static func place(_ row: Int, _ column: Int) -> String { "<|img_row_\(row)_col_\(column)|>" }

  /// - Parameter multiple: side of a token, pixels.
  init(shape: VisionShape, multiple: Int) {
    self.init(shape: shape, budget: ResolutionBudget(multiple: multiple, minimumTokens: 64, maximumTokens: 256))
  }

  private init(shape: VisionShape, budget: ResolutionBudget) {
    self.shape = shape
    self.budget = budget
  }

  /// Of all tiles of a picture.
  func maximumPatches(merging side: Int) -> Int {
    let tile = LFM2Processor.tileSize / shape.patchSize
    return LFM2Processor.tiles.upperBound * tile * tile + budget.maximumTokens * side * side
  }

  /// nil: the picture is one tile.
  private func grid(_ width: Int, _ height: Int) -> TileGrids.Grid? {
    let multiple = Double(budget.multiple)
    func rounded(_ length: Int) -> Double {
      max(Double(shape.patchSize), (Double(length) / multiple).rounded(.toNearestOrEven) * multiple)
    }
    let most = Double(budget.maximumTokens) * multiple * multiple * LFM2Processor.tolerance
    return rounded(width) * rounded(height) > most ? grids.nearest(width: width, height: height) : nil
  }

  func layout(width: Int, height: Int) -> PictureLayout {
    let overview = budget.size(width: width, height: height)
    let last = TokenWindow(
      rows: 0..<overview.height / budget.multiple, columns: 0..<overview.width / budget.multiple)
    var tiles: [TokenWindow] = []
    var frame: [FrameItem] = [.text("<|image_start|>")]
    if let grid = grid(width, height) {
      let side = LFM2Processor.tileSize / budget.multiple
      let window = TokenWindow(rows: 0..<side, columns: 0..<side)
      for index in 0..<grid.count {
        frame.append(.text(LFM2Processor.place(index / grid.columns + 1, index % grid.columns + 1)))
        frame.append(.tokens(tile: index, 0..<window.count))
        tiles.append(window)
      }
      frame.append(.text("<|img_thumbnail|>"))
    }
    frame += [.tokens(tile: tiles.count, 0..<last.count), .text("<|image_end|>")]
    return PictureLayout(tiles: tiles + [last], frame: frame)
  }

  func canvas(width: Int, height: Int) -> ImageSize {
    guard let grid = grid(width, height) else { return budget.size(width: width, height: height) }
    return ImageSize(width: grid.columns * LFM2Processor.tileSize, height: grid.rows * LFM2Processor.tileSize)
  }

  func prepare(_ image: Image) -> PreparedPicture {
    let (shape, tile, original) = (shape, LFM2Processor.tileSize, (image.width, image.height))
    let overview = budget.size(width: image.width, height: image.height)
    let grid = grid(image.width, image.height)
    let size = (width: (grid?.columns ?? 0) * tile, height: (grid?.rows ?? 0) * tile)
    let canvas = grid.map { _ in resize(image, width: size.width, height: size.height, filter: .bilinear) }
    return PreparedPicture(layout: layout(width: image.width, height: image.height)) { index in
      guard let grid, let canvas, index < grid.count else {
        return PreparedImage(
          normalizing: resize(image, width: overview.width, height: overview.height, filter: .bilinear),
          mean: shape.mean, deviation: shape.deviation,
          placement: .whole(original, on: (overview.width, overview.height)))
      }
      let (x, y) = (index % grid.columns * tile, index / grid.columns * tile)
      return PreparedImage(
        normalizing: canvas.cropped(x: x, y: y, width: tile, height: tile), mean: shape.mean,
        deviation: shape.deviation, placement: .whole(original, on: size, x: -x, y: -y))
    }
  }

  func limited(to budget: ImageTokenBudget) throws -> any ImageProcessor {
    LFM2Processor(shape: shape, budget: try self.budget.limited(to: budget))
  }
}
