/// What pruning did with a patch.
package enum PatchFate: Sendable, Equatable {
  case kept
  /// Dropped before the language model: the encoder's own attention found it dispensable.
  case droppedStageI
  /// Dropped inside the language model: the question did not look at it.
  case droppedStageII
}

/// The photo with dropped patches dimmed: stage I to a dark grey, stage II to a dark blue; kept patches untouched. A thin
/// light line inside the dropped patches runs round the kept ones.
/// - Parameters:
///   - photo: the oriented original, of the size the grid was made for.
///   - fates: one per patch of the grid.
/// - Precondition: sizes and counts match.
package func drawKeepMap(_ photo: Image, grid: PatchGrid, fates: [PatchFate]) -> Image {
  precondition(fates.count == grid.count, "drawKeepMap: one fate per patch")
  precondition(
    photo.width == grid.placement.originalWidth && photo.height == grid.placement.originalHeight,
    "drawKeepMap: the grid belongs to another picture")
  var map = photo
  let line = max(1, min(photo.width, photo.height) / 350)
  map.pixels.withUnsafeMutableBufferPointer { pixels in
    for index in 0..<grid.count {
      let area = grid.rectangle(of: index)
      switch fates[index] {
      case .kept: continue
      case .droppedStageI: dim(pixels, photo.width, area, tint: (90, 90, 90))
      case .droppedStageII: dim(pixels, photo.width, area, tint: (50, 80, 165))
      }
      drawEdges(pixels, photo.width, area, line, kept: keptSides(grid, fates, index))
    }
  }
  return map
}

private typealias Area = (x: Int, y: Int, width: Int, height: Int)

/// Replaces the colours of an area by their luma, scaled so that white becomes `tint`.
private func dim(
  _ pixels: UnsafeMutableBufferPointer<UInt8>, _ photoWidth: Int, _ area: Area, tint: (Int, Int, Int)
) {
  for y in area.y..<area.y + area.height {
    for x in area.x..<area.x + area.width {
      let at = (y * photoWidth + x) * 3
      // ITU-R BT.601 weights in thousandths.
      let luma = (299 * Int(pixels[at]) + 587 * Int(pixels[at + 1]) + 114 * Int(pixels[at + 2])) / 1000
      pixels[at] = UInt8(luma * tint.0 / 255)
      pixels[at + 1] = UInt8(luma * tint.1 / 255)
      pixels[at + 2] = UInt8(luma * tint.2 / 255)
    }
  }
}

private func keptSides(
  _ grid: PatchGrid, _ fates: [PatchFate], _ index: Int
) -> (left: Bool, right: Bool, top: Bool, bottom: Bool) {
  let (column, row) = (index % grid.columns, index / grid.columns)
  return (
    column > 0 && fates[index - 1] == .kept, column + 1 < grid.columns && fates[index + 1] == .kept,
    row > 0 && fates[index - grid.columns] == .kept,
    row + 1 < grid.rows && fates[index + grid.columns] == .kept
  )
}

/// Lines of `line` pixels inside an area, along the sides that meet kept patches.
private func drawEdges(
  _ pixels: UnsafeMutableBufferPointer<UInt8>, _ photoWidth: Int, _ area: Area, _ line: Int,
  kept: (left: Bool, right: Bool, top: Bool, bottom: Bool)
) {
  func fill(_ columns: Range<Int>, _ rows: Range<Int>) {
    for y in rows {
      for x in columns {
        for channel in 0..<3 { pixels[(y * photoWidth + x) * 3 + channel] = 235 }
      }
    }
  }
  // A patch only a few lines wide would be all line.
  guard area.width > 4 * line, area.height > 4 * line else { return }
  let columns = area.x..<area.x + area.width
  let rows = area.y..<area.y + area.height
  if kept.left { fill(columns.lowerBound..<columns.lowerBound + line, rows) }
  if kept.right { fill(columns.upperBound - line..<columns.upperBound, rows) }
  if kept.top { fill(columns, rows.lowerBound..<rows.lowerBound + line) }
  if kept.bottom { fill(columns, rows.upperBound - line..<rows.upperBound) }
}
