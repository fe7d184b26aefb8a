/// What numbers tokens from 0: lists of one numbering do not compile where another is meant.
package protocol TokenNumbering {}

/// All tokens of a tile, or of the tiles of an image one behind the other.
package enum TileTokens: TokenNumbering {}

/// Those that stage I kept.
package enum StageOneTokens: TokenNumbering {}

/// Which of `total` tokens survive: ascending indices. The others are dropped, never merged.
package struct KeepList<Numbering: TokenNumbering>: Sendable, Equatable {
  package let kept: [Int]
  package let total: Int

  /// - Parameter kept: strictly ascending, within 0..<total.
  package init(kept: [Int], total: Int) {
    precondition(total >= 0 && (kept.first ?? 0) >= 0 && (kept.last ?? -1) < total, "KeepList: index out of range")
    precondition(zip(kept, kept.dropFirst()).allSatisfy { $0 < $1 }, "KeepList: indices must ascend")
    self.kept = kept
    self.total = total
  }

  package static func everything(_ total: Int) -> KeepList { KeepList(kept: Array(0..<total), total: total) }

  /// The lists of one image's tiles as one list: each tile's tokens are numbered behind those of the tiles before.
  package static func joined(_ lists: [KeepList]) -> KeepList {
    if lists.count == 1 { return lists[0] }
    var (kept, total) = ([Int](), 0)
    for list in lists {
      kept += list.kept.map { total + $0 }
      total += list.total
    }
    return KeepList(kept: kept, total: total)
  }

  package var count: Int { kept.count }
  package var keepsEverything: Bool { kept.count == total }
}

extension KeepList<TileTokens> {
  /// The same choice in this list's numbering: `later` chose among this list's survivors.
  package func narrowed(by later: KeepList<StageOneTokens>) -> KeepList<TileTokens> {
    precondition(later.total == count, "KeepList: lists do not follow each other")
    return KeepList(kept: later.kept.map { kept[$0] }, total: total)
  }
}
