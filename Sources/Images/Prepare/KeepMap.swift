/// What pruning did with a patch.
package enum PatchFate: Sendable, Equatable {
  case kept
  /// Dropped before the language model: the encoder's own attention found it dispensable.
  case droppedStageI
  /// Dropped inside the language model: the question did not look at it.
  case droppedStageII
}

/// One tile of a picture in its keep map.
package struct KeepMapTile: Sendable {
  package let grid: TokenGrid
  /// One a token of the grid.
  package let fates: [PatchFate]

  package init(grid: TokenGrid, fates: [PatchFate]) {
    self.grid = grid
    self.fates = fates
  }
}

/// The photo with dropped patches dimmed: stage I to a dark grey, stage II to a dark blue; kept patches untouched. A thin
/// light line inside the dropped patches runs round the kept ones. Where tiles overlap (an overview and its parts), a place
/// is what became of the token that got furthest.
/// - Parameters:
///   - photo: the oriented original, of the size the grids were made for.
/// - Precondition: sizes and counts match.
package func drawKeepMap(_ photo: Image, tiles: [KeepMapTile]) -> Image {
  var map = photo
  let line = max(1, min(photo.width, photo.height) / 350)
  for tile in tiles {
    precondition(tile.fates.count == tile.grid.count, "drawKeepMap: one fate per token")
    precondition(
      photo.width == tile.grid.placement.originalWidth && photo.height == tile.grid.placement.originalHeight,
      "drawKeepMap: the grid belongs to another picture")
  }
  let kept = coverage(photo, tiles) { $0 == .kept }
  let seen = coverage(photo, tiles) { $0 != .droppedStageI }
  map.pixels.withUnsafeMutableBufferPointer { pixels in
    for tile in tiles {
      for index in 0..<tile.grid.count where tile.fates[index] != .kept {
        let area = tile.grid.rectangle(of: index)
        // Dimmed once, by the tile whose token got furthest there.
        switch tile.fates[index] {
        case .kept: continue
        case .droppedStageI:
          dim(photo, into: pixels, area, tint: (90, 90, 90)) { !seen.contains($0) && !kept.contains($0) }
        case .droppedStageII: dim(photo, into: pixels, area, tint: (50, 80, 165)) { !kept.contains($0) }
        }
      }
    }
    for tile in tiles {
      for index in 0..<tile.grid.count where tile.fates[index] != .kept {
        let sides = keptSides(tile.grid, tile.fates, index)
        drawEdges(pixels, photo.width, tile.grid.rectangle(of: index), line, kept: sides) { !kept.contains($0) }
      }
    }
  }
  return map
}

/// The pixels that tokens of a fate show; with one tile nothing overlaps, and nothing has to be known.
private struct Coverage {
  var pixels: [Bool]
  func contains(_ pixel: Int) -> Bool { !pixels.isEmpty && pixels[pixel] }
}

private func coverage(_ photo: Image, _ tiles: [KeepMapTile], _ counts: (PatchFate) -> Bool) -> Coverage {
  guard tiles.count > 1 else { return Coverage(pixels: []) }
  var pixels = [Bool](repeating: false, count: photo.width * photo.height)
  for tile in tiles {
    for index in 0..<tile.grid.count where counts(tile.fates[index]) {
      let area = tile.grid.rectangle(of: index)
      for y in area.y..<area.y + area.height {
        for x in area.x..<area.x + area.width { pixels[y * photo.width + x] = true }
      }
    }
  }
  return Coverage(pixels: pixels)
}

private typealias Area = (x: Int, y: Int, width: Int, height: Int)

/// Replaces the colours of an area by their luma, scaled so that white becomes `tint`.
private func dim(
  _ photo: Image, into pixels: UnsafeMutableBufferPointer<UInt8>, _ area: Area, tint: (Int, Int, Int),
  where wanted: (_ pixel: Int) -> Bool
) {
  for y in area.y..<area.y + area.height {
    for x in area.x..<area.x + area.width where wanted(y * photo.width + x) {
      let at = (y * photo.width + x) * 3
      let (red, green, blue) = (Int(photo.pixels[at]), Int(photo.pixels[at + 1]), Int(photo.pixels[at + 2]))
      // ITU-R BT.601 weights in thousandths.
      let luma = (299 * red + 587 * green + 114 * blue) / 1000
      pixels[at] = UInt8(luma * tint.0 / 255)
      pixels[at + 1] = UInt8(luma * tint.1 / 255)
      pixels[at + 2] = UInt8(luma * tint.2 / 255)
    }
  }
}

private func keptSides(
  _ grid: TokenGrid, _ fates: [PatchFate], _ index: Int
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
  kept: (left: Bool, right: Bool, top: Bool, bottom: Bool), where wanted: (_ pixel: Int) -> Bool
) {
  func fill(_ columns: Range<Int>, _ rows: Range<Int>) {
    for y in rows {
      for x in columns where wanted(y * photoWidth + x) {
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
