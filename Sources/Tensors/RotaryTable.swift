import Glibc
import OccamCore
import Synchronization

/// Cosines and sines of rotary position embeddings (Su et al. 2021), computed in double precision the first time a
/// position's page of 256 is asked for and kept: dimension * 4 bytes a position (twice that for adjacent pairs).
///
/// Angle of pair i at position p: p * frequencyScale * base^(-2i / dimension) / frequencyFactors[i].
package struct RotaryTable: Sendable {
  package enum Style: Sendable {
    /// Pairs (2i, 2i + 1): ggml's "norm", what llama files are permuted for.
    case adjacent
    /// Pairs (i, i + dimension / 2): ggml's "neox".
    case halves
  }

  package let dimension: Int
  package let style: Style
  private let cache: Cache

  /// - Parameters:
  ///   - dimension: how many numbers of each head are rotated; even.
  ///   - frequencyScale: 1 / factor of linear context extension.
  ///   - frequencyFactors: dimension / 2 divisors (the rope_freqs tensor of Llama 3), or none.
  package init(
    dimension: Int, base: Float, frequencyScale: Float = 1, frequencyFactors: [Float]? = nil, style: Style
  ) {
    precondition(dimension > 0 && dimension % 2 == 0, "RotaryTable: dimension must be even")
    precondition(frequencyFactors.map { $0.count == dimension / 2 } ?? true, "RotaryTable: one factor for each pair")
    self.dimension = dimension
    self.style = style
    let frequencies = (0..<dimension / 2).map { pair in
      Double(frequencyScale) * pow(Double(base), -2 * Double(pair) / Double(dimension))
        / Double(frequencyFactors?[pair] ?? 1)
    }
    cache = Cache(frequencies: frequencies, style: style)
  }

  /// For each position the address of its cosines, which its sines follow; valid as long as the table lives.
  func look(up positions: UnsafePointer<Int32>, into rows: UnsafeMutableBufferPointer<UnsafePointer<Float>>) {
    cache.look(up: positions, into: rows)
  }

  private final class Cache: Sendable {
    private let frequencies: [Double]
    private let style: Style
    private let pages = Mutex<[Int: AlignedBuffer<Float>]>([:])

    init(frequencies: [Double], style: Style) {
      self.frequencies = frequencies
      self.style = style
    }

    func look(up positions: UnsafePointer<Int32>, into rows: UnsafeMutableBufferPointer<UnsafePointer<Float>>) {
      let stride = frequencies.count * (style == .adjacent ? 4 : 2)
      pages.withLock { pages in
        for row in rows.indices {
          let position = Int(positions[row])
          let number = position >> 8
          let page =
            pages[number]
            ?? {
              let page = compute(first: number << 8, stride: stride)
              pages[number] = page
              return page
            }()
          rows.initializeElement(at: row, to: UnsafePointer(page.pointer + (position & 255) * stride))
        }
      }
    }

    private func compute(first: Int, stride: Int) -> AlignedBuffer<Float> {
      let page = AlignedBuffer<Float>(count: 256 * stride, zeroed: false)
      for offset in 0..<256 {
        let row = page.pointer + offset * stride
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
