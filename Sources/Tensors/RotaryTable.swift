import Glibc
import OccamCore
import Synchronization

/// Cosines and sines of rotary position embeddings (Su et al. 2021), computed in double precision the first time a
/// position's page of 256 is asked for and kept: dimension * 4 bytes a position (twice that for adjacent pairs).
///
/// Angle of pair i: position[axis of i] * frequency of i; for text's usual tables one axis and
/// frequencyScale * base^(-2i / dimension) / frequencyFactors[i].
package struct RotaryTable: Sendable {
  package enum Style: Sendable {
    /// Pairs (2i, 2i + 1): ggml's "norm", what llama files are permuted for.
    case adjacent
    /// Pairs (i, i + dimension / 2): ggml's "neox".
    case halves
  }

  package let dimension: Int
  package let style: Style
  /// The axis that turns each pair; nil: `t` turns all.
  let axes: [RotaryAxis]?
  private let cache: Cache

  /// - Parameters:
  ///   - dimension: how many numbers of each head are rotated; even.
  ///   - frequencyScale: 1 / factor of linear context extension.
  ///   - frequencyFactors: dimension / 2 divisors (the rope_freqs tensor of Llama 3), or none.
  ///   - axes: dimension / 2, one a pair; nil: `t` for all.
  package init(
    dimension: Int, base: Float, frequencyScale: Float = 1, frequencyFactors: [Float]? = nil, style: Style,
    axes: [RotaryAxis]? = nil
  ) {
    precondition(dimension > 0 && dimension % 2 == 0, "RotaryTable: dimension must be even")
    precondition(frequencyFactors.map { $0.count == dimension / 2 } ?? true, "RotaryTable: one factor for each pair")
    let frequencies = RotaryTable.frequencies(dimension: dimension, base: Double(base)).enumerated().map {
      Double(frequencyScale) * $1 / Double(frequencyFactors?[$0] ?? 1)
    }
    self.init(frequencies: frequencies, style: style, axes: axes)
  }

  /// base^(-2i / dimension) for each pair i, radians a position.
  package static func frequencies(dimension: Int, base: Double) -> [Double] {
    (0..<dimension / 2).map { pow(base, -2 * Double($0) / Double(dimension)) }
  }

  /// - Parameters:
  ///   - frequencies: radians a position, one a pair.
  ///   - axes: one a pair; nil: `t` for all.
  package init(frequencies: [Double], style: Style, axes: [RotaryAxis]? = nil) {
    precondition(!frequencies.isEmpty, "RotaryTable: no pair")
    precondition(axes.map { $0.count == frequencies.count } ?? true, "RotaryTable: one axis for each pair")
    dimension = 2 * frequencies.count
    self.style = style
    self.axes = axes?.allSatisfy { $0 == .t } ?? true ? nil : axes
    cache = Cache(frequencies: frequencies, style: style)
  }

  /// Floats of a row: cosines, then as many sines.
  var rowCount: Int { cache.stride }

  /// For each of some numbers, as `axis` counts them, the address of its cosines, which its sines follow; valid as long as
  /// the table lives.
  func look(
    up positions: UnsafePointer<Position>, _ axis: RotaryAxis = .t,
    into rows: UnsafeMutableBufferPointer<UnsafePointer<Float>>
  ) {
    for row in rows.indices { rows.initializeElement(at: row, to: cache.look(up: axis.number(of: positions[row]))) }
  }

  /// A row whose pairs follow several axes, put together from a row of each.
  func compose(_ rows: RotaryRows, into target: UnsafeMutablePointer<Float>) {
    guard let axes else { return }
    let width = style == .adjacent ? 2 : 1
    let half = rowCount / 2
    for (pair, axis) in axes.enumerated() {
      let source = rows[axis]
      for index in pair * width..<(pair + 1) * width {
        target[index] = source[index]
        target[half + index] = source[half + index]
      }
    }
  }

  /// Pages in a directory of two levels, so that a pass finds them without a lock; only making a page takes one.
  private final class Cache: @unchecked Sendable {
    private typealias Page = Atomic<UnsafeMutablePointer<Float>?>
    private typealias Directory = Atomic<UnsafeMutablePointer<Page>?>

    private let frequencies: [Double]
    private let style: Style
    /// Bits 20...31 of a position name its directory, bits 8...19 the page there.
    private let directories: UnsafeMutablePointer<Directory>
    private static let fanOut = 4096
    private let making = Guarded<Void>(())

    init(frequencies: [Double], style: Style) {
      self.frequencies = frequencies
      self.style = style
      directories = .allocate(capacity: Cache.fanOut)
      for index in 0..<Cache.fanOut { (directories + index).initialize(to: Atomic(nil)) }
    }

    deinit {
      for index in 0..<Cache.fanOut {
        if let pages = directories[index].load(ordering: .relaxed) {
          for index in 0..<Cache.fanOut { pages[index].load(ordering: .relaxed)?.deallocate() }
          pages.deinitialize(count: Cache.fanOut).deallocate()
        }
      }
      directories.deinitialize(count: Cache.fanOut).deallocate()
    }

    var stride: Int { frequencies.count * (style == .adjacent ? 4 : 2) }

    func look(up number: Int32) -> UnsafePointer<Float> {
      let position = UInt32(bitPattern: number)
      let (directory, index) = (Int(position >> 20), Int(position >> 8 & 4095))
      let page =
        directories[directory].load(ordering: .acquiring)?[index].load(ordering: .acquiring)
        ?? make(directory, index, first: Int(number) & ~255)
      return UnsafePointer(page + Int(position & 255) * stride)
    }

    private func make(_ directory: Int, _ index: Int, first: Int) -> UnsafeMutablePointer<Float> {
      making.withLock { _ in
        var pages = directories[directory].load(ordering: .relaxed)
        if pages == nil {
          let made = UnsafeMutablePointer<Page>.allocate(capacity: Cache.fanOut)
          for index in 0..<Cache.fanOut { (made + index).initialize(to: Atomic(nil)) }
          directories[directory].store(made, ordering: .releasing)
          pages = made
        }
        guard let pages else { preconditionFailure("RotaryTable: no directory") }
        if let page = pages[index].load(ordering: .relaxed) { return page }
        let page = compute(first: first)
        pages[index].store(page, ordering: .releasing)
        return page
      }
    }

    private func compute(first: Int) -> UnsafeMutablePointer<Float> {
      let page = UnsafeMutablePointer<Float>.allocate(capacity: 256 * stride)
      for offset in 0..<256 {
        let row = page + offset * stride
        for (pair, frequency) in frequencies.enumerated() {
          let angle = Double(first + offset) * frequency
          let cosine = Float(cos(angle))
          let sine = Float(sin(angle))
          if style == .halves {
            row[pair] = cosine
            row[stride / 2 + pair] = sine
          } else {
            // One cosine and one signed sine for each number, as the kernel multiplies them.
            row[2 * pair] = cosine
            row[2 * pair + 1] = cosine
            row[stride / 2 + 2 * pair] = -sine
            row[stride / 2 + 2 * pair + 1] = sine
          }
        }
      }
      return page
    }
  }
}

/// Which number of a position turns a pair.
package enum RotaryAxis: Sendable, CaseIterable {
  case t, y, x

  func number(of position: Position) -> Int32 {
    switch self {
    case .t: position.t
    case .y: position.y
    case .x: position.x
    }
  }
}

/// Of one position the table's row for each axis.
struct RotaryRows {
  var t: UnsafePointer<Float>
  var y: UnsafePointer<Float>
  var x: UnsafePointer<Float>

  subscript(_ axis: RotaryAxis) -> UnsafePointer<Float> {
    switch axis {
    case .t: t
    case .y: y
    case .x: x
    }
  }
}
