import OccamCore
import OccamTensors

/// What a decoder's layers run over: some rows of a prompt, or the token being decoded.
package struct PassInput {
  /// [rows x hidden], changed in place.
  package var hidden: MatrixView<Float>
  /// One a row, `t` ascending.
  package var positions: UnsafeBufferPointer<Position>
  /// One a row: the token whose embedding it began as; `noToken`: an image's row, or a learned embedding.
  package var tokens: UnsafeBufferPointer<Int32>
  /// The rows as they entered the first layer, [rows x hidden]; nil: `hidden` holds them still. Behind the first layer
  /// only where `TextShape.readsInputs`.
  package var inputs: MatrixView<Float>?
  /// Runs of rows that see each other in both directions, as an image does in some models; ascending, disjoint.
  package var bidirectional: [Range<Int>]
  /// Attention weights wanted of the last layer of the group.
  package var scores: ScoreRequest?
  /// Added to the hidden states behind some of the first layers.
  package var injections: [Injection]
  /// After the group only the last row is wanted; the last layer computes no other.
  package var lastRowOnly: Bool

  package static let noToken: Int32 = -1

  package init(
    hidden: MatrixView<Float>, positions: UnsafeBufferPointer<Position>, tokens: UnsafeBufferPointer<Int32>,
    inputs: MatrixView<Float>? = nil, bidirectional: [Range<Int>] = [], scores: ScoreRequest? = nil,
    injections: [Injection] = [], lastRowOnly: Bool = false
  ) {
    precondition(hidden.rows == positions.count, "PassInput: one position a row")
    precondition(hidden.rows == tokens.count, "PassInput: one token a row")
    precondition(inputs.map { $0.rows == hidden.rows } ?? true, "PassInput: one input a row")
    self.hidden = hidden
    self.positions = positions
    self.tokens = tokens
    self.inputs = inputs
    self.bidirectional = bidirectional
    self.scores = scores
    self.injections = injections
    self.lastRowOnly = lastRowOnly
  }

  /// Some rows alone, as a pass of their own: those of one of several sequences.
  func rows(_ part: Range<Int>) -> PassInput {
    guard part.count < hidden.rows else { return self }
    return PassInput(
      hidden: hidden.slice(rows: part), positions: UnsafeBufferPointer(rebasing: positions[part]),
      tokens: UnsafeBufferPointer(rebasing: tokens[part]), inputs: inputs?.slice(rows: part))
  }

  /// What a row sees of its bidirectional run.
  enum RunReach {
    /// No more than of other rows: itself and what lies before it.
    case causal
    /// All of it.
    case whole
    /// All behind it, and before it as far as the layer's window reaches.
    case window
  }

  /// Which entries of a layer's cache each row sees: those before it, as far as the layer's window reaches, and the rest
  /// of its bidirectional run. Windows count positions, not entries.
  /// - Parameters: cache: holds this pass's rows already; firstEntry: the entry of row 0.
  func visibility(
    in cache: LayerKVCache, firstEntry: Int, runs: RunReach = .whole, _ compute: Compute
  ) -> Visibility {
    let bidirectional = runs == .causal ? [] : bidirectional
    let reach = reach(in: cache)
    if reach == nil, bidirectional.isEmpty { return .causal(first: firstEntry) }
    let ranges = compute.visibleRanges(hidden.rows)
    for row in 0..<hidden.rows {
      let from = reach.map { cache.firstEntry(at: firstSeen(positions[row], $0)) } ?? 0
      ranges[row] = VisibleRange(from: Int32(from), to: Int32(firstEntry + row + 1))
    }
    for run in bidirectional {
      for row in run {
        if runs == .whole { ranges[row].from = min(ranges[row].from, Int32(firstEntry + run.lowerBound)) }
        ranges[row].to = Int32(firstEntry + run.upperBound)
      }
    }
    return .ranges(UnsafePointer(ranges))
  }

  /// The same in another layer's cache, which may hold rows behind this pass's, or rows that this pass no longer has: a
  /// row sees the entries of positions up to its own, in a bidirectional run up to the run's last.
  func sharedVisibility(in cache: LayerKVCache, runs: RunReach = .whole, _ compute: Compute) -> Visibility {
    let reach = reach(in: cache)
    let ranges = compute.visibleRanges(hidden.rows)
    for row in 0..<hidden.rows {
      let from = reach.map { cache.firstEntry(at: firstSeen(positions[row], $0)) } ?? 0
      ranges[row] = VisibleRange(from: Int32(from), to: Int32(cache.firstEntry(after: positions[row].t)))
    }
    for run in runs == .causal ? [] : bidirectional {
      let first = Int32(cache.firstEntry(at: positions[run.lowerBound].t))
      let end = Int32(cache.firstEntry(after: positions[run.upperBound - 1].t))
      for row in run {
        if runs == .whole { ranges[row].from = min(ranges[row].from, first) }
        ranges[row].to = end
      }
    }
    return .ranges(UnsafePointer(ranges))
  }

  /// The layer's window, where it hides an entry from a row.
  private func reach(in cache: LayerKVCache) -> Int? {
    cache.shape.window.flatMap { window in
      guard let last = positions.last, cache.firstEntry(at: firstSeen(last, window)) > 0 else { return nil }
      return window
    }
  }

  private func firstSeen(_ position: Position, _ window: Int) -> Int32 {
    Int32(clamping: Int(position.t) - window + 1)
  }
}

/// Numbers of an image that join the hidden states of its rows behind layer `layer` (DeepStack, arXiv 2406.04334).
package struct Injection {
  package let layer: Int
  /// Rows of the pass, ascending.
  package let rows: [Int]
  /// Of each of them its address, [hidden]; they live as long as the pass.
  package let values: [UnsafePointer<Float>]

  package init(layer: Int, rows: [Int], values: [UnsafePointer<Float>]) {
    precondition(rows.count == values.count, "Injection: one address a row")
    self.layer = layer
    self.rows = rows
    self.values = values
  }
}

extension PassInput {
  /// What the image adds behind layer `index`.
  func inject(behind index: Int) {
    for injection in injections where injection.layer == index {
      for (row, values) in zip(injection.rows, injection.values) {
        let target = hidden.row(row)
        for column in 0..<hidden.columns { target[column] += values[column] }
      }
    }
  }

  /// The rows of layer `index` that are wanted behind it, when `group` runs.
  func wantedRows(of index: Int, in group: Range<Int>) -> Range<Int> {
    lastRowOnly && index == group.upperBound - 1 ? max(hidden.rows - 1, 0)..<hidden.rows : 0..<hidden.rows
  }

  /// The attention weights wanted of layer `index`: the group's last layer has them.
  func scores(of index: Int, in group: Range<Int>) -> ScoreRequest? { index == group.upperBound - 1 ? scores : nil }
}

extension TimingTable {
  /// Names what follows after the kind of pass and its layers, from 1.
  func begin(pass rows: Int, layers: Range<Int>) {
    begin(group: "\(rows == 1 ? "decode" : "prefill") \(layers.lowerBound + 1)-\(layers.upperBound)")
  }
}
