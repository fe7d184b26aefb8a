import OccamFixtures

struct UsageError: Error {
  let message: String
}

/// What the command line asks for.
struct Request {
  var spec: FixtureSpec
  var folder: String
  var type: FixtureType
  var projectorType: FixtureType
  var isFused = false

  /// nil when help was asked for.
  init?(_ arguments: [String]) throws {
    var positional: [String] = []
    var options: [String: String] = [:]
    var index = 0
    while index < arguments.count {
      let argument = arguments[index]
      index += 1
      switch argument {
      case "-h", "--help": return nil
      case "--fused": isFused = true
      case "--type", "--mmproj-type", "--vocab", "--seed":
        guard index < arguments.count else { throw UsageError(message: "\(argument) needs a value") }
        options[argument] = arguments[index]
        index += 1
      default:
        guard !argument.hasPrefix("-") else { throw UsageError(message: "unknown option '\(argument)'") }
        positional.append(argument)
      }
    }
    guard positional.count == 2 else { throw UsageError(message: "NAME and FOLDER are needed") }
    guard var spec = FixtureSpec.named(positional[0]) else {
      throw UsageError(message: "no fixture is named '\(positional[0])'")
    }
    if let text = options["--seed"] {
      guard let seed = UInt64(text) else { throw UsageError(message: "--seed: '\(text)' is no number") }
      spec.seed = seed
    }
    if let path = options["--vocab"] { spec.vocabulary = .file(path) }
    func weightType(_ option: String, _ fallback: FixtureType) throws -> FixtureType {
      guard let text = options[option] else { return fallback }
      guard let type = FixtureType(name: text) else { throw UsageError(message: "\(option): unknown type '\(text)'") }
      return type
    }
    type = try weightType("--type", spec.isForTimingOnly ? .q4_0 : .f16)
    projectorType = try weightType("--mmproj-type", spec.isForTimingOnly ? .f16 : type)
    folder = positional[1]
    self.spec = spec
  }
}
