import Glibc
import OccamTensors

/// Attention in double precision, written from the formula: one softmax over a whole row.
struct AttentionReference {
  let heads: Int
  let kvHeads: Int
  let dimension: Int
  let scale: Float
  /// The last key each row sees, or all where nil.
  var firstCell: Int?
  /// Of each row, in place of `firstCell`.
  var ranges: [Range<Int>] = []
  let keys: [[Double]]
  let values: [[Double]]

  /// Probabilities of one row and head over all keys.
  func probabilities(_ query: [Double], row: Int, head: Int) -> [Double] {
    let visible = ranges.isEmpty ? 0..<(firstCell.map { $0 + row + 1 } ?? keys.count) : ranges[row]
    let shared = head / (heads / kvHeads)
    let logits = visible.map { key in
      (0..<dimension).reduce(0) { $0 + query[head * dimension + $1] * keys[key][shared * dimension + $1] }
        * Double(scale)
    }
    let largest = logits.max() ?? 0
    let total = logits.reduce(0) { $0 + exp($1 - largest) }
    return [Double](repeating: 0, count: visible.lowerBound) + logits.map { exp($0 - largest) / total }
      + [Double](repeating: 0, count: keys.count - visible.upperBound)
  }

  /// rows x (heads * dimension), and the mean over heads of every row's probabilities.
  func run(_ queries: [[Double]]) -> (outputs: [Double], means: [[Double]]) {
    var outputs: [Double] = []
    var means: [[Double]] = []
    for (row, query) in queries.enumerated() {
      var mean = [Double](repeating: 0, count: keys.count)
      for head in 0..<heads {
        let weights = probabilities(query, row: row, head: head)
        let shared = head / (heads / kvHeads) * dimension
        for index in 0..<dimension {
          outputs.append(keys.indices.reduce(0) { $0 + weights[$1] * values[$1][shared + index] })
        }
        for key in keys.indices { mean[key] += weights[key] / Double(heads) }
      }
      means.append(mean)
    }
    return (outputs, means)
  }
}

extension KVCacheFormats {
  /// Every format for both, and two that differ.
  static let tested =
    KVCacheFormat.allCases.map { KVCacheFormats($0) }
    + [KVCacheFormats(keys: .q8_0, values: .q4_0), KVCacheFormats(keys: .q4_0, values: .f16)]
}

/// What an entry gives back for a head's numbers, in the format's own words.
func stored(_ rows: [[Double]], _ format: KVCacheFormat, dimension: Int) -> [[Double]] {
  switch format {
  case .f32: return rows
  case .f16: return rows.map { $0.map { Double(Float16($0)) } }
  case .q8_0:
    return rows.map { row in
      stride(from: 0, to: row.count, by: dimension).flatMap { head in
        stride(from: head, to: head + dimension, by: 32).flatMap { start -> [Double] in
          let block = row[start..<min(start + 32, head + dimension)].map(Float.init)
          let largest = block.map(\.magnitude).max() ?? 0
          let scale = Float16(largest / 127)
          let inverse = largest > 0 ? 127 / largest : 0
          return block.map { Double(($0 * inverse).rounded(.toNearestOrEven)) * Double(scale) }
        }
      }
    }
  case .q4_0:
    return rows.map { row in
      stride(from: 0, to: row.count, by: dimension).flatMap { head in
        stride(from: head, to: head + dimension, by: 32).flatMap { start -> [Double] in
          let block = row[start..<min(start + 32, head + dimension)].map(Float.init)
          let scale = (block.max { $0.magnitude < $1.magnitude } ?? 0) / -8
          let inverse = scale != 0 ? 1 / scale : 0
          return block.map { (min(Double(($0 * inverse + 8.5).rounded(.down)), 15) - 8) * Double(Float16(scale)) }
        }
      }
    }
  }
}
