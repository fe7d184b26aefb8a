import OccamImages

/// LLaVA-NeXT's pictures: an overview stretched to one tile, then the picture scaled into the size that loses least of it,
/// padded, and cut into tiles. Tokens of padding are left out again, and a learned one ends each row.
/// Reference: Hugging Face transformers, image_processing_llava_next.py and modeling_llava_next.py (`unpad_image`,
/// `pack_image_features`).
struct LLaVANeXTProcessor: ImageProcessor {
  struct Size: Sendable, Equatable {
    var height: Int
    var width: Int
  }

  let shape: VisionShape
  /// In the file's order, which decides between equals.
  let sizes: [Size]

  /// The size that shows most of the picture's pixels, and of those the one with the least padding.
  func bestSize(width: Int, height: Int) -> Size {
    var (best, most, least) = (sizes[0], -1, Int.max)
    for size in sizes {
      let scale = min(Double(size.width) / Double(width), Double(size.height) / Double(height))
      let shown = min(Int(Double(width) * scale) * Int(Double(height) * scale), width * height)
      let wasted = size.width * size.height - shown
      if shown > most || (shown == most && wasted < least) { (best, most, least) = (size, shown, wasted) }
    }
    return best
  }

  /// The picture's own size inside `size`, aspect kept.
  private func scaled(_ width: Int, _ height: Int, into size: Size) -> Size {
    let (x, y) = (Double(size.width) / Double(width), Double(size.height) / Double(height))
    if x < y {
      return Size(height: max(min(Int((Double(height) * x).rounded(.up)), size.height), 1), width: size.width)
    }
    return Size(height: size.height, width: max(min(Int((Double(width) * y).rounded(.up)), size.width), 1))
  }

  /// Rows and columns of the whole grid of tokens that show the picture. Not what `scaled` would say: the reference
  /// computes it anew, in tokens.
  private func window(_ width: Int, _ height: Int, rows: Int, columns: Int) -> TokenWindow {
    // To seven decimals first, as the reference does.
    func whole(_ value: Double) -> Int { Int((value * 1e7).rounded(.toNearestOrEven) / 1e7) }
    let window: TokenWindow
    if Double(width) / Double(height) > Double(columns) / Double(rows) {
      let shown = whole(Double(height) * (Double(columns) / Double(width)))
      let padding = (rows - shown) / 2
      window = TokenWindow(rows: padding..<rows - padding, columns: 0..<columns)
    } else {
      let shown = whole(Double(width) * (Double(rows) / Double(height)))
      let padding = (columns - shown) / 2
      window = TokenWindow(rows: 0..<rows, columns: padding..<columns - padding)
    }
    return window
  }

  func layout(width: Int, height: Int) -> PictureLayout {
    let side = shape.patchesPerSide
    let size = bestSize(width: width, height: height)
    let (down, across) = (size.height / shape.imageSize, size.width / shape.imageSize)
    let shown = window(width, height, rows: down * side, columns: across * side)
    let whole = TokenWindow(rows: 0..<side, columns: 0..<side)
    // A tile's part of the window, in its own rows and columns.
    func part(_ row: Int, _ column: Int) -> TokenWindow {
      func inside(_ range: Range<Int>, _ tile: Int) -> Range<Int> {
        let part = range.clamped(to: tile * side..<(tile + 1) * side)
        return part.isEmpty ? 0..<0 : part.lowerBound - tile * side..<part.upperBound - tile * side
      }
      return TokenWindow(rows: inside(shown.rows, row), columns: inside(shown.columns, column))
    }
    let tiles = (0..<down).flatMap { row in (0..<across).map { part(row, $0) } }
    var frame: [FrameItem] = [.tokens(tile: 0, 0..<whole.count)]
    for row in shown.rows {
      for column in 0..<across {
        let index = row / side * across + column
        let tile = tiles[index]
        guard !tile.columns.isEmpty else { continue }
        let first = (row % side - tile.rows.lowerBound) * tile.columns.count
        frame.append(.tokens(tile: 1 + index, first..<first + tile.columns.count))
      }
      frame.append(.learned(LLaVANeXT.newline))
    }
    return PictureLayout(tiles: [whole] + tiles, frame: frame)
  }

  func canvas(width: Int, height: Int) -> ImageSize {
    let size = bestSize(width: width, height: height)
    return ImageSize(width: size.width, height: size.height)
  }

  func prepare(_ image: Image) -> PreparedPicture {
    let size = bestSize(width: image.width, height: image.height)
    let inner = scaled(image.width, image.height, into: size)
    let (shape, tile, original) = (shape, shape.imageSize, (image.width, image.height))
    let picture = resize(image, width: inner.width, height: inner.height, filter: .bicubic)
    let (left, top) = ((size.width - inner.width) / 2, (size.height - inner.height) / 2)
    return PreparedPicture(layout: layout(width: image.width, height: image.height)) { index in
      guard index > 0 else {
        return PreparedImage(
          normalizing: resize(image, width: tile, height: tile, filter: .bicubic), mean: shape.mean,
          deviation: shape.deviation, placement: .whole(original, on: (tile, tile)))
      }
      let across = size.width / tile
      let (x, y) = ((index - 1) % across * tile, (index - 1) / across * tile)
      let canvas = picture.padded(width: tile, height: tile, x: left - x, y: top - y, colour: .black)
      return PreparedImage(
        normalizing: canvas, mean: shape.mean, deviation: shape.deviation,
        placement: .whole(original, on: (inner.width, inner.height), x: left - x, y: top - y))
    }
  }
}
