import OccamCore

/// Cuts a prepared picture into square patches, one row per patch, patches row by row over the picture.
///
/// Within a row the order is (channel, y, x): a convolution weight stored as ggml shape [patch, patch, 3, dim] (patch
/// columns fastest) is then the plain matrix dim x (3 * patch * patch), and patch embedding is one matrix product.
/// Pixels right of or below the last whole patch are left out, as a convolution without padding does.
/// - Precondition: `target` has (width / patch) * (height / patch) rows of 3 * patch * patch columns.
package func patches(of image: PreparedImage, patch: Int, into target: MatrixView<Float>) {
  precondition(patch > 0, "patches: no patch size")
  let columns = image.width / patch
  let rows = image.height / patch
  precondition(
    target.rows == rows * columns && target.columns == 3 * patch * patch, "patches: the target has the wrong shape")
  for patchRow in 0..<rows {
    for patchColumn in 0..<columns {
      var out = target.row(patchRow * columns + patchColumn)
      for channel in 0..<3 {
        for y in 0..<patch {
          let line = (channel * image.height + patchRow * patch + y) * image.width + patchColumn * patch
          out.update(from: image.pixels.pointer + line, count: patch)
          out += patch
        }
      }
    }
  }
}

/// The tokens of a prepared picture, for finding them again on the original. A token shows a square of the canvas: one
/// patch, or several that the encoder merges.
package struct TokenGrid: Sendable, Equatable {
  package let columns: Int
  package let rows: Int
  /// Side of a token in canvas pixels.
  package let patch: Int
  package let placement: ImagePlacement

  package init(columns: Int, rows: Int, patch: Int, placement: ImagePlacement) {
    self.columns = columns
    self.rows = rows
    self.patch = patch
    self.placement = placement
  }

  /// The grid of `image` cut into patches of `patch` pixels.
  package init(of image: PreparedImage, patch: Int) {
    self.init(columns: image.width / patch, rows: image.height / patch, patch: patch, placement: image.placement)
  }

  package var count: Int { columns * rows }

  /// A part of the grid.
  package func cropped(rows: Range<Int>, columns: Range<Int>) -> TokenGrid {
    precondition(
      rows.lowerBound >= 0 && rows.upperBound <= self.rows && columns.lowerBound >= 0
        && columns.upperBound <= self.columns, "TokenGrid: a part outside")
    var placement = placement
    placement.x -= columns.lowerBound * patch
    placement.y -= rows.lowerBound * patch
    return TokenGrid(columns: columns.count, rows: rows.count, patch: patch, placement: placement)
  }

  /// The grid of tokens that hold `side` x `side` of these; what is left over at the right and below is shown by none.
  package func merged(_ side: Int) -> TokenGrid {
    TokenGrid(columns: columns / side, rows: rows / side, patch: patch * side, placement: placement)
  }

  /// The part of the (oriented) original that a patch shows, in whole pixels, padding left out.
  ///
  /// Neighbours share their edges: the rectangles of a grid neither overlap nor leave a gap. Empty (`width` or `height`
  /// 0) for a patch of padding only, or where the original has fewer pixels than the grid has patches.
  package func rectangle(of index: Int) -> (x: Int, y: Int, width: Int, height: Int) {
    precondition(index >= 0 && index < count, "TokenGrid: no such patch")
    let (column, row) = (index % columns, index / columns)
    let left = edge(column * patch, placement.x, placement.width, placement.originalWidth)
    let right = edge((column + 1) * patch, placement.x, placement.width, placement.originalWidth)
    let top = edge(row * patch, placement.y, placement.height, placement.originalHeight)
    let bottom = edge((row + 1) * patch, placement.y, placement.height, placement.originalHeight)
    return (left, top, right - left, bottom - top)
  }

  /// A canvas coordinate in the original, to the nearest pixel edge and cut to the picture.
  private func edge(_ canvas: Int, _ offset: Int, _ scaled: Int, _ original: Int) -> Int {
    let inside = min(max(canvas - offset, 0), scaled)
    return (2 * inside * original + scaled) / (2 * scaled)
  }
}
