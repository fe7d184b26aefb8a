import Occam
import OccamTestSupport
import Testing

/// Encoder weights requantised while loading, against the stored F16 ones.
@Suite struct EncoderTypeTests {
  /// 8 bits are what `auto` takes: the mean cosine of an image's rows stays above 0.9995.
  @Test(arguments: ["g1", "g2", "g3", "demo"]) func eightBitsStayClose(fixture: String) throws {
    let exact = try embeddings(fixture, .stored)
    let found = try embeddings(fixture, .auto)
    #expect(found == (try embeddings(fixture, .q8_0)))
    #expect(exact != found, "nothing was requantised")
    #expect(meanCosine(exact, found) >= 0.9995)
  }

  @Test(arguments: ["g1", "demo"]) func sixBitsAreCoarser(fixture: String) throws {
    let exact = try embeddings(fixture, .stored)
    let found = meanCosine(exact, try embeddings(fixture, .q6_K))
    #expect(found >= 0.995 && found < meanCosine(exact, try embeddings(fixture, .q8_0)))
  }

  private func meanCosine(_ exact: [[Float]], _ found: [[Float]]) -> Double {
    zip(exact, found).reduce(0) { $0 + cosine($1.0, $1.1) } / Double(exact.count)
  }

  private func embeddings(_ fixture: String, _ type: ModelOptions.EncoderType) throws -> [[Float]] {
    let files = try Fixture.make(fixture, "F16")
    var options = ModelOptions(threads: 2)
    options.encoderType = type
    let model = try VisionLanguageModel(path: files.text, projector: files.projector, options: options)
    return try model.makeSession().imageEmbeddings(.file("\(Locations.photos)/cat.png"))
  }
}
