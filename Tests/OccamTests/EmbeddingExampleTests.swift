import Occam
import OccamCore
import OccamTestSupport
import Testing

@Suite struct EmbeddingExampleTests {
  @Test func theExampleRuns() async throws {
    // The fixture's folder holds the projector beside the model.
    let service = try PhotoService(modelPath: Fixture.make("g1", "Q8_0").text)
    let photo = try Files.read("\(Locations.photos)/cup.jpg")
    #expect(try await !service.answer("What is on the table?", about: photo).isEmpty)
    await #expect(throws: OccamError.self) { try await service.answer("What?", about: [1, 2, 3]) }
  }

  /// The documentation shows the very text that is compiled here.
  @Test func theDocumentationShowsTheSameText() throws {
    func text(_ path: String) throws -> String {
      String(decoding: try Files.read("\(Locations.root)/\(path)"), as: UTF8.self)
    }
    let page = try text("Sources/Occam/Occam.docc/Occam.md")
    let blocks = page.split(separator: "```").enumerated().filter { $0.offset % 2 == 1 }.map { String($0.element) }
    let code = try text("Tests/OccamTests/EmbeddingExample.swift")
    #expect(blocks.contains("swift\n" + code))
  }
}
