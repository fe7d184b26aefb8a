import OccamImages

/// Idefics3's pictures: the longer side is brought to `longestEdge`, both sides up to whole tiles, and an overview of one
/// tile follows them. Reference: Hugging Face transformers, image_processing_idefics3.py (the Pillow processor, Lanczos)
/// and processing_idefics3.py for the markers.
struct Idefics3Processor: ImageProcessor {
  let shape: VisionShape
  let longestEdge: Int
  let tokensPerSide: Int

  /// All that may stand round tiles; the vocabularies know six rows and columns.
  static let markers =
    ["<fake_token_around_image>", "<global-img>"]
    + (1...6).flatMap { row in (1...6).map { "<row_\(row)_col_\($0)>" } }

  /// What the reference never goes beyond, whatever the longest edge.
  private static let maximumSide = 4096

  init(_ shape: VisionShape, longestEdge: Int, tokensPerSide: Int) {
    self.shape = shape
    self.longestEdge = longestEdge
    self.tokensPerSide = tokensPerSide
  }

  /// Of a square picture, with the overview.
  var maximumTiles: Int {
    let side = (min(longestEdge, Self.maximumSide) + shape.imageSize - 1) / shape.imageSize
    return side * side + 1
  }

  /// Sizes of a picture on its way to tiles.
  private struct Sizes {
    /// The longer side as wanted, even sides.
    var scaled: (width: Int, height: Int)
    /// Whole tiles.
    var canvas: (width: Int, height: Int)
    /// Tiles; 0 where the canvas is one tile and there is only an overview.
    var columns: Int
    var rows: Int
  }

  private func sizes(_ width: Int, _ height: Int) -> Sizes {
    let scaled = Self.belowLimit(Self.longest(width, height, longestEdge))
    let tile = shape.imageSize
    func whole(_ side: Int) -> Int { (side + tile - 1) / tile * tile }
    let aspect = Double(scaled.width) / Double(scaled.height)
    var canvas: (width: Int, height: Int)
    if scaled.width >= scaled.height {
      canvas.width = whole(scaled.width)
      canvas.height = whole(max(Int(Double(canvas.width) / aspect), 1))
    } else {
      canvas.height = whole(scaled.height)
      canvas.width = whole(max(Int(Double(canvas.height) * aspect), 1))
    }
    let (columns, rows) = (canvas.width / tile, canvas.height / tile)
    return Sizes(
      scaled: scaled, canvas: canvas, columns: columns * rows > 1 ? columns : 0, rows: columns * rows > 1 ? rows : 0)
  }

  /// Aspect kept; the shorter side rounded down, then up to an even number.
  private static func longest(_ width: Int, _ height: Int, _ edge: Int) -> (width: Int, height: Int) {
    let aspect = Double(width) / Double(height)
    if width >= height {
      let other = Int(Double(edge) / aspect)
      return (edge, max(other + other % 2, 1))
    }
    let other = Int(Double(edge) * aspect)
    return (max(other + other % 2, 1), edge)
  }

  private static func belowLimit(_ size: (width: Int, height: Int)) -> (width: Int, height: Int) {
    let aspect = Double(size.width) / Double(size.height)
    if size.width >= size.height, size.width > maximumSide {
      return (maximumSide, max(Int(Double(maximumSide) / aspect), 1))
    }
    if size.height > size.width, size.height > maximumSide {
      return (max(Int(Double(maximumSide) * aspect), 1), maximumSide)
    }
    return size
  }

  func layout(width: Int, height: Int) -> PictureLayout { layout(sizes(width, height)) }

  /// Tiles row by row, each behind its place, rows ended by line breaks; the overview last.
  private func layout(_ sizes: Sizes) -> PictureLayout {
    let window = TokenWindow(rows: 0..<tokensPerSide, columns: 0..<tokensPerSide)
    let tokens = 0..<window.count
    var frame: [FrameItem] = []
    for row in 0..<sizes.rows {
      for column in 0..<sizes.columns {
        frame.append(.text("<fake_token_around_image><row_\(row + 1)_col_\(column + 1)>"))
        frame.append(.tokens(tile: row * sizes.columns + column, tokens))
      }
      if row + 1 < sizes.rows { frame.append(.text("\n")) }
    }
    let tiles = sizes.rows * sizes.columns
    // The last row's break and the one before the overview are one token.
    frame.append(.text((tiles > 0 ? "\n\n" : "") + "<fake_token_around_image><global-img>"))
    frame.append(.tokens(tile: tiles, tokens))
    frame.append(.text("<fake_token_around_image>"))
    return PictureLayout(tiles: Array(repeating: window, count: tiles + 1), frame: frame)
  }

  func canvas(width: Int, height: Int) -> ImageSize {
    let canvas = sizes(width, height).canvas
    return ImageSize(width: canvas.width, height: canvas.height)
  }

  func prepare(_ image: Image) -> PreparedPicture {
    let sizes = sizes(image.width, image.height)
    let (shape, tile) = (shape, shape.imageSize)
    let scaled = resize(image, width: sizes.scaled.width, height: sizes.scaled.height, filter: .lanczos)
    let canvas = resize(scaled, width: sizes.canvas.width, height: sizes.canvas.height, filter: .lanczos)
    let original = (image.width, image.height)
    return PreparedPicture(layout: layout(sizes)) { index in
      guard index < sizes.columns * sizes.rows else {
        return PreparedImage(
          normalizing: resize(canvas, width: tile, height: tile, filter: .lanczos), mean: shape.mean,
          deviation: shape.deviation, placement: .whole(original, on: (tile, tile)))
      }
      let (x, y) = (index % sizes.columns * tile, index / sizes.columns * tile)
      return PreparedImage(
        normalizing: canvas.cropped(x: x, y: y, width: tile, height: tile), mean: shape.mean,
        deviation: shape.deviation, placement: .whole(original, on: sizes.canvas, x: -x, y: -y))
    }
  }
}

extension ImagePlacement {
  /// The whole picture, stretched to `size`, beginning at (x, y) of the tile.
  static func whole(
    _ original: (width: Int, height: Int), on size: (width: Int, height: Int), x: Int = 0, y: Int = 0
  ) -> ImagePlacement {
    ImagePlacement(
      originalWidth: original.width, originalHeight: original.height, x: x, y: y, width: size.width,
      height: size.height)
  }
}
