/// Grids of square tiles that a picture may be stretched to, by its proportions.
/// Reference: Hugging Face transformers, `get_optimal_tiled_canvas` of image_processing_pil_got_ocr2.py and
/// `find_closest_aspect_ratio` of image_processing_lfm2_vl.py, which agree.
struct TileGrids: Sendable {
  struct Grid: Sendable, Equatable {
    var columns: Int
    var rows: Int

    var count: Int { columns * rows }
  }

  /// Pixels.
  let side: Int
  /// Smaller ones first: the order decides between equals.
  private let grids: [Grid]

  /// - Parameters: side: of a tile, pixels; tiles: how many a grid may have, from 1.
  init(side: Int, tiles: ClosedRange<Int>) {
    self.side = side
    grids = tiles.flatMap { count in
      (1...count).filter { count % $0 == 0 }.map { Grid(columns: $0, rows: count / $0) }
    }
  }

  /// The grid whose proportions are nearest; of equally near ones the larger, if the picture has more than half its
  /// pixels.
  func nearest(width: Int, height: Int) -> Grid {
    let aspect = Double(width) / Double(height)
    let area = Double(width) * Double(height)
    var (best, least) = (Grid(columns: 1, rows: 1), Double.infinity)
    for grid in grids {
      let difference = abs(aspect - Double(grid.columns) / Double(grid.rows))
      let pixels = Double(side * side * grid.count)
      if difference < least || (difference == least && area > 0.5 * pixels) { (best, least) = (grid, difference) }
    }
    return best
  }
}
