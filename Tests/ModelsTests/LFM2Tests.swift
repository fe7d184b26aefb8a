import OccamGGUF
import OccamImages
import OccamModels
import OccamTensors
import OccamTestSupport
import Testing

/// What is LFM2-VL's own: positions resampled to the picture, layers of which some attend, tiles or the picture as it is.
@Suite struct LFM2Tests {
  /// Weights of PyTorch's `interpolate` (bilinear, antialias, align_corners=False) of one axis: `side` positions, so many
  /// places, the first places' first position and weights.
  private static let resampled: [(side: Int, count: Int, taps: [(first: Int, weights: [Float])])] = [
    (
      16, 5,
      [
        (0, [0.230769, 0.340659, 0.252747, 0.142857, 0.032967]),
        (2, [0.088235, 0.186274, 0.284314, 0.245098, 0.147059, 0.04902]),
        (5, [0.068627, 0.166667, 0.264706, 0.264706, 0.166667, 0.068627]),
      ]
    ),
    (7, 3, [(0, [0.357143, 0.428571, 0.214286]), (1, [0.058824, 0.235294, 0.411765, 0.235294, 0.058824])]),
    (4, 6, [(0, [1]), (0, [0.5, 0.5]), (1, [0.833333, 0.166667])]),
    (16, 16, [(0, [1]), (1, [1]), (2, [1])]),
    (5, 1, [(0, [0.157895, 0.210526, 0.263158, 0.210526, 0.157895])]),
  ]

  @Test func positionsAreResampledAsPyTorchDoes() {
    for (side, count, expected) in LFM2Tests.resampled {
      let taps = InterpolatedPositions.taps(count, side: side, .antialiased)
      #expect(taps.count == count)
      for (tap, expected) in zip(taps, expected) {
        // Positions at the triangle's very ends have no weight.
        var line = [Float](repeating: 0, count: side)
        for (offset, weight) in tap.weights.enumerated() { line[tap.first + offset] = weight }
        for (index, found) in line.enumerated() {
          let offset = index - expected.first
          let weight = expected.weights.indices.contains(offset) ? expected.weights[offset] : 0
          #expect(abs(found - weight) < 2e-6, "\(side) to \(count), position \(index)")
        }
      }
    }
    for (side, count) in (1...20).flatMap({ side in [1, 2, 7, 64, 300].map { (side, $0) } }) {
      for tap in InterpolatedPositions.taps(count, side: side, .antialiased) {
        #expect(tap.first >= 0 && tap.first + tap.weights.count <= side)
        #expect(abs(tap.weights.reduce(0, +) - 1) < 1e-5)
      }
    }
  }

  /// Two of its layers attend, those with KV heads; stage II acts behind one of them.
  @Test func someLayersAttend() throws {
    let files = try Fixture.make("lfm2-a", "F16")
    let shape = try ModelRegistry.textShape(GGUFFile(path: files.text))
    #expect((0..<5).map { shape.attention($0)?.kvHeads } == [nil, 2, nil, 2, nil])
    #expect(shape.states[0] == .recurrent(RecurrentShape(floats: 2 * 256)))
    #expect(shape.defaultPruningLayer == 2 && shape.mixerWidth == 3 * 256)
    var edited = shape
    // Where none is left at or behind a third of the depth the last one before it is taken.
    edited.states = [shape.states[1]] + Array(repeating: shape.states[0], count: 8)
    #expect(edited.defaultPruningLayer == 1)
    let windowed = LayerStateShape.attention(KVCacheShape(kvHeads: 2, headDimension: 32, window: 8))
    edited.states = [shape.states[0], windowed, shape.states[0], windowed, shape.states[0]]
    #expect(edited.defaultPruningLayer == 2)
  }

  /// Budgets of tokens reach pictures that are not cut; where tiles begin follows from them.
  @Test func budgetsOfTokens() throws {
    let files = try Fixture.make("lfm2-a", "F16")
    let processor = try ModelRegistry.visionPlan(GGUFFile(path: files.projector)).processor
    let small = try processor.limited(to: ImageTokenBudget(minimum: nil, maximum: 100))
    #expect(processor.layout(width: 512, height: 512).imageTokens == 256)
    #expect(small.layout(width: 512, height: 400).imageTokens <= 100)
    #expect(small.layout(width: 512, height: 400).tiles.count == 1)
    // 100 tokens of 32 x 32 pixels, twice: 204,800 pixels.
    #expect(small.layout(width: 512, height: 512).tiles.count > 1)
    let large = try processor.limited(to: ImageTokenBudget(minimum: 128, maximum: nil))
    #expect(large.layout(width: 40, height: 30).imageTokens >= 128)
  }
}
