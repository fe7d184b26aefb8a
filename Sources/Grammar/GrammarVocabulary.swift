/// A model's tokens as the bytes that they add to a text, ordered so that common beginnings are walked once. Made once a
/// model.
package final class GrammarVocabulary: Sendable {
  /// Tokens, those without text among them.
  package let count: Int
  /// Tokens that end a text.
  let ends: [Int32]
  let pieces: [[UInt8]]

  // The tree of all pieces, every node before its children.
  let bytes: [UInt8]
  let depths: [UInt16]
  /// The node behind a node's whole subtree.
  let skips: [Int32]
  /// Of each node the first of its tokens in `tokens`; one more for the end.
  let firstTokens: [Int32]
  let tokens: [Int32]
  let deepest: Int

  /// - Parameters:
  ///   - pieces: the bytes of each token; empty for one that a grammar never allows, as control tokens are.
  ///   - end: tokens that end a text: allowed where the grammar may end.
  package init(pieces: [[UInt8]], end: [Int32]) {
    self.pieces = pieces
    count = pieces.count
    ends = end.filter { pieces.indices.contains(Int($0)) }
    // A piece of thousands of bytes is some file's mistake; depths fit 16 bits.
    let ordered = pieces.indices.filter { !pieces[$0].isEmpty && pieces[$0].count < 4096 }.sorted {
      pieces[$0].lexicographicallyPrecedes(pieces[$1])
    }
    var (bytes, depths, firstTokens, tokens) = ([UInt8](), [UInt16](), [Int32](), [Int32]())
    var path: [Int32] = []
    var skips: [Int32] = []
    var before: [UInt8] = []
    for id in ordered {
      let piece = pieces[id]
      let common = zip(before, piece).prefix { $0 == $1 }.count
      for node in path[common...] { skips[Int(node)] = Int32(bytes.count) }
      path.removeSubrange(common...)
      for depth in common..<piece.count {
        path.append(Int32(bytes.count))
        bytes.append(piece[depth])
        depths.append(UInt16(depth))
        skips.append(0)
        firstTokens.append(Int32(tokens.count))
      }
      tokens.append(Int32(id))
      before = piece
    }
    for node in path { skips[Int(node)] = Int32(bytes.count) }
    firstTokens.append(Int32(tokens.count))
    self.bytes = bytes
    self.depths = depths
    self.skips = skips
    self.tokens = tokens
    self.firstTokens = firstTokens
    deepest = (depths.max().map { Int($0) } ?? 0) + 1
  }
}
