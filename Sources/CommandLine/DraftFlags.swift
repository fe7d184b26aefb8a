/// The flags of speculative decoding, of every tool that answers.
package struct DraftFlags: Sendable {
  package let model = Flag<String>.file(
    "-md", "--model-draft", help: "small GGUF model of the same vocabulary that guesses the next tokens")
  package let lookup = Flag<Bool>.toggle(
    "--draft-lookup", help: "guess that what stood behind the last tokens before comes again")
  package let most: Flag<Int>
  package let least: Flag<Int>
  package let minProbability: Flag<Float>

  /// - Parameters:
  ///   - limit: the most guesses that may be asked for in one pass.
  ///   - most: as many are made unless asked for otherwise.
  package init(limit: Int, most: Int, least: Int, minProbability: Float) {
    self.most = .integer(
      "--draft", "--draft-n", "--draft-max", in: 0...limit, default: most,
      help: "guesses that a pass checks at most, 0: none are made")
    self.least = .integer(
      "--draft-min", "--draft-n-min", in: 0...limit, default: least, help: "fewer guesses are not worth checking")
    self.minProbability = .number(
      "--draft-p-min", in: 0...1, default: minProbability,
      help: "probability that the draft model gives each of its guesses at least")
  }

  package var group: CommandLineSpec.Group {
    CommandLineSpec.Group(
      "Speculative decoding: faster, with the same answers",
      [lookup.spec, model.spec, most.spec, least.spec, minProbability.spec])
  }
}
