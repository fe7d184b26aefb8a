import Occam
import OccamMatmul
import OccamTestSupport
import Testing

/// Encoder weights requantised while loading, against the stored F16 ones.
@Suite struct EncoderTypeTests {
  /// Kernel sets that encode 8 bits in different ways.
  static let sets = KernelSet.available().map(\.name).filter { $0 != "portable" }

  /// 8 bits are what `auto` takes: the mean cosine of an image's rows stays above 0.9995.
  @Test(arguments: ["g1", "g2", "g3", "demo"], sets) func eightBitsStayClose(fixture: String, set: String) throws {
    let exact = try embeddings(fixture, .stored, set)
    let found = try embeddings(fixture, .auto, set)
    let eight = try embeddings(fixture, .q8_0, set)
    #expect(found == eight)
    #expect(exact != found, "nothing was requantised")
    #expect(meanCosine(exact, found) >= 0.9995)
  }

  @Test(arguments: ["g1", "demo"]) func sixBitsAreCoarser(fixture: String) throws {
    let exact = try embeddings(fixture, .stored)
    let six = meanCosine(exact, try embeddings(fixture, .q6_K))
    let eight = meanCosine(exact, try embeddings(fixture, .q8_0))
    #expect(six >= 0.995 && six < eight)
  }

  private func meanCosine(_ exact: [[Float]], _ found: [[Float]]) -> Double {
    zip(exact, found).reduce(0) { $0 + cosine($1.0, $1.1) } / Double(exact.count)
  }

  private func embeddings(
    _ fixture: String, _ type: ModelOptions.EncoderType, _ set: String? = nil
  ) throws -> [[Float]] {
    let files = try Fixture.make(fixture, "F16")
    var options = ModelOptions(threads: 2, kernel: set)
    options.encoderType = type
    let model = try VisionLanguageModel(path: files.text, projector: files.projector, options: options)
    return try model.makeSession().imageEmbeddings(.file("\(Locations.photos)/cat.png"))
  }
}
