import OccamCore
import OccamFixtures

/// Generated models in temporary folders, each made once per test process.
package enum Fixture {
  package struct Unknown: Error, CustomStringConvertible {
    package let description: String
  }

  private static let made = Guarded<[String: FixtureFiles]>([:])

  /// The pair `name` (`FixtureSpec.all`) with weights of one type ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K_M",
  /// "Q6_K").
  /// - Parameters:
  ///   - seed: the fixture's own if nil; the goldens belong to that.
  ///   - vocabulary: GGUF file whose vocabulary it gets; the built-in one if nil.
  package static func make(
    _ name: String, _ type: String, seed: UInt64? = nil, vocabulary: String? = nil
  ) throws -> (text: String, projector: String) {
    let files = try make(name, type, seed, vocabulary, isFused: false)
    guard let projector = files.projector else { throw Unknown(description: "\(name): no mmproj was written") }
    return (files.text, projector)
  }

  /// The files of any family's fixture; no projector for a text-only one.
  package static func makeFiles(_ name: String, _ type: String) throws -> (text: String, projector: String?) {
    let files = try make(name, type, nil, nil, isFused: false)
    return (files.text, files.projector)
  }

  /// The same as one file that holds both models.
  package static func makeFused(_ name: String, _ type: String) throws -> String {
    try make(name, type, nil, nil, isFused: true).text
  }

  private static func make(
    _ name: String, _ type: String, _ seed: UInt64?, _ vocabulary: String?, isFused: Bool
  ) throws -> FixtureFiles {
    guard var spec = FixtureSpec.named(name) else { throw Unknown(description: "no fixture is named '\(name)'") }
    guard let weights = FixtureType(name: type) else { throw Unknown(description: "no weight type is named '\(type)'") }
    if let seed { spec.seed = seed }
    if let vocabulary { spec.vocabulary = .file(vocabulary) }
    let key = "\(name) \(type) \(spec.seed) \(vocabulary ?? "-") \(isFused)"
    return try made.withLock { made in
      if let files = made[key] { return files }
      let files = try spec.write(to: TemporaryFolder.make(), type: weights, isFused: isFused)
      made[key] = files
      return files
    }
  }
}
