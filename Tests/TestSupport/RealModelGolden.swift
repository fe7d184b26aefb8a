import OccamCore

/// What llama.cpp computed with a published model's file (Tests/RealModels/fetch.py), which is no part of the repository.
package struct RealModelGoldens: Sendable {
  package struct Prompt: Sendable, CustomStringConvertible {
    package let prompt: String
    /// With BOS, special tokens parsed.
    package let ids: [Int]
    /// The best tokens after the prompt, best first.
    package let top: GoldenStep
    /// Every 1,024th logit.
    package let sample: [Float]
    /// Standard deviation of all logits.
    package let std: Double
    /// Difference from an F32 run of the very same weights, in the unit of `error(of:from:)`.
    package let logitsFromDequantized: Double
    /// Greedy tokens, their logits and how far they lead the second best; empty for most prompts.
    package let answer: [(id: Int, logit: Float, lead: Float)]

    package var description: String { "'\(prompt.suffix(60))'" }
  }

  /// Path of the model's file; nil where it has not been fetched.
  package let file: String?
  package let checksum: UInt32
  package let tokens: [(text: String, ids: [Int])]
  package let prompts: [Prompt]

  /// - Parameter name: a folder of Tests/Goldens that holds a `goldens.json`.
  package static func load(_ name: String) throws -> RealModelGoldens {
    try RealModelGoldens(JSONValue(parsing: try Files.read("\(Locations.goldens)/\(name)/goldens.json")))
  }

  private init(_ manifest: JSONValue) throws {
    let path = "\(Locations.root)/Tests/RealModels/weights/\(try manifest.member("file", \.stringValue))"
    file = Files.exists(path) ? path : nil
    checksum = UInt32(try manifest.member("crc32", \.intValue))
    tokens = try manifest.member("tokens", \.arrayValue).map { entry in
      (try entry.member("text", \.stringValue), try entry.integers("ids"))
    }
    prompts = try manifest.member("prompts", \.arrayValue).map { entry in
      let answer = try (entry["answer"]?.arrayValue ?? []).map { step in
        let numbers = (step.arrayValue ?? []).compactMap(\.doubleValue)
        guard numbers.count == 3 else { throw GoldenError(description: "goldens: a step is not three numbers") }
        return (Int(numbers[0]), Float(numbers[1]), Float(numbers[2]))
      }
      return Prompt(
        prompt: try entry.member("prompt", \.stringValue), ids: try entry.integers("ids"),
        top: GoldenStep(ids: try entry.integers("top_ids"), logits: try entry.floats("top_logits")),
        sample: try entry.floats("sample"), std: try entry.member("logits_std", \.doubleValue),
        logitsFromDequantized: try entry.member("logits_from_dequantized", \.doubleValue), answer: answer)
    }
  }
}

extension JSONValue {
  fileprivate func floats(_ name: String) throws -> [Float] {
    try member(name, \.arrayValue).map { element in
      guard let number = element.doubleValue else {
        throw GoldenError(description: "goldens: '\(name)' holds more than numbers")
      }
      return Float(number)
    }
  }
}
