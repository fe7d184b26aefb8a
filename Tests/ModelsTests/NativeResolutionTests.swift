import OccamFixtures
import OccamGGUF
import OccamImages
import OccamModels
import OccamTensors
import OccamTestSupport
import Testing

/// Pictures that keep their proportions, and the numbers of their tokens.
@Suite struct NativeResolutionTests {
  /// Sizes by Hugging Face transformers 5.24, `smart_resize(height, width, factor, min_pixels, max_pixels)`; those with a
  /// proportion over 200, which it refuses, are within the range here too.
  @Test(arguments: [
    ((1024, 768), (1036, 756)), ((640, 480), (644, 476)), ((4000, 3000), (4004, 2996)), ((40, 4000), (28, 4004)),
    ((100, 100), (112, 112)), ((1, 1), (56, 56)), ((28, 28), (56, 56)), ((42, 70), (56, 56)),
    ((9000, 9000), (3584, 3584)),
  ])
  func sizesOfSmartResize(given: (Int, Int), expected: (Int, Int)) {
    let budget = ResolutionBudget(multiple: 28, minimumTokens: 4, maximumTokens: 16384)
    #expect(budget.size(width: given.0, height: given.1) == ImageSize(width: expected.0, height: expected.1))
  }

  /// The same with Qwen3-VL's tokens of 32 x 32 pixels, 8 to 4,096 of them.
  @Test(arguments: [
    ((1024, 768), (1024, 768), 768), ((640, 480), (640, 480), 300), ((4000, 3000), (2336, 1760), 4015),
    ((3000, 4000), (1760, 2336), 4015), ((40, 4000), (32, 4000), 125), ((4000, 40), (4000, 32), 125),
    ((1, 1), (96, 96), 9),
  ])
  func sizesOfQwen3VL(given: (Int, Int), expected: (Int, Int), tokens: Int) throws {
    let spec = try #require(FixtureSpec.named("qwen3-vl-8b"))
    let file = try #require(try spec.synthesizeProjector(type: .f16))
    let processor = try ModelRegistry.visionPlan(file).processor
    let layout = processor.layout(width: given.0, height: given.1)
    #expect(layout.imageTokens == tokens && layout.tiles.count == 1)
    let window = try #require(layout.tiles.first)
    #expect(window.columns.count == expected.0 / 32 && window.rows.count == expected.1 / 32)
  }

  @Test func anyPictureStaysInRange() {
    let budget = ResolutionBudget(multiple: 28, minimumTokens: 8, maximumTokens: 300)
    for width in [1, 27, 28, 29, 500, 4000, 1_000_000] {
      for height in [1, 13, 28, 41, 777, 8_000, 1_000_000] {
        let size = budget.size(width: width, height: height)
        let tokens = size.width / 28 * (size.height / 28)
        #expect(size.width % 28 == 0 && size.height % 28 == 0 && (8...300).contains(tokens), "\(width) x \(height)")
      }
    }
  }

  @Test func usersMoveTheRange() throws {
    let budget = ResolutionBudget(multiple: 14, minimumTokens: 8, maximumTokens: 300)
    func limited(_ minimum: Int?, _ maximum: Int?) throws -> [Int] {
      let limited = try budget.limited(to: ImageTokenBudget(minimum: minimum, maximum: maximum))
      return [limited.minimumTokens, limited.maximumTokens]
    }
    #expect(try limited(nil, nil) == [8, 300])
    #expect(try limited(nil, 4) == [4, 4])
    #expect(try limited(500, nil) == [500, 500])
    #expect(try limited(20, 100) == [20, 100])
    for (minimum, maximum) in [(0, nil), (nil, 0), (-5, nil), (nil, 1 << 14 + 1), (30, 20)] as [(Int?, Int?)] {
      #expect(throws: ModelError.self) { try limited(minimum, maximum) }
    }
  }

  @Test func gridsStandAtOneTime() {
    let scheme = PositionScheme.grid
    let found = (0..<6).map { scheme.position(of: $0, in: 0..<6, columns: 3, first: 10) }
    #expect(found.map(\.t) == [10, 10, 10, 10, 10, 10])
    #expect(found.map(\.y) == [10, 10, 10, 11, 11, 11] && found.map(\.x) == [10, 11, 12, 10, 11, 12])
    #expect(scheme.extent(of: 0..<6, columns: 3) == 3 && scheme.extent(of: 0..<6, columns: 2) == 3)
    #expect(scheme.extent(of: 0..<6, columns: 1) == 6 && scheme.extent(of: 0..<0, columns: 3) == 0)
    #expect(PositionScheme.sequence.extent(of: 2..<6, columns: 3) == 4)
  }
}
