import OccamQuantFormats

/// What stands on the command line of occam-quantize, or what is wrong with it.
package struct QuantizeArguments: Sendable, Equatable {
  package var input = ""
  /// nil only for a dry run.
  package var output: String?
  package var options = QuantizationOptions(type: .q4_K_M)
  /// nil: as many as the machine offers.
  package var threads: Int?
  package var isDryRun = false

  package init() {}

  package struct UsageError: Error, Equatable {
    package let message: String
    package init(message: String) { self.message = message }
  }

  package enum Request: Sendable, Equatable {
    case help
    case quantize(QuantizeArguments)
  }

  /// - Parameter words: the command line without the program's name.
  package static func parse(_ words: [String]) throws(UsageError) -> Request {
    var arguments = QuantizeArguments()
    var positional: [String] = []
    var rest = words[...]
    var optionsEnded = false
    while let word = rest.popFirst() {
      guard !optionsEnded, word.hasPrefix("-"), word != "-" else {
        positional.append(word)
        continue
      }
      if word == "--" {
        optionsEnded = true
        continue
      }
      let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
      let name = parts[0]
      guard let option = Option.allCases.first(where: { $0.spellings.contains(name) }) else {
        throw unknown("option", name, Option.allCases.flatMap(\.spellings))
      }
      if option.takesValue {
        guard let value = parts.count > 1 ? parts[1] : rest.popFirst() else {
          throw UsageError(message: "\(name) needs a value")
        }
        try arguments.set(option, name, value)
      } else {
        guard parts.count == 1 else { throw UsageError(message: "\(name) takes no value") }
        switch option {
        case .help: return .help
        case .pure: arguments.options.pure = true
        case .allowRequantize: arguments.options.allowRequantize = true
        case .dryRun: arguments.isDryRun = true
        case .threads, .outputFormat, .tokenEmbeddingFormat: break
        }
      }
    }
    try arguments.place(positional)
    return .quantize(arguments)
  }

  private mutating func place(_ words: [String]) throws(UsageError) {
    guard words.count == 3 || (isDryRun && words.count == 2) else {
      let wanted = isDryRun ? "IN [OUT] TYPE" : "IN OUT TYPE"
      throw UsageError(message: "\(wanted) expected, \(words.count) argument\(words.count == 1 ? "" : "s") given")
    }
    input = words[0]
    output = words.count == 3 ? words[1] : nil
    let name = words[words.count - 1]
    guard let type = QuantizationType(name: name) else {
      throw unknown("type", name, QuantizationType.allCases.map(\.rawValue))
    }
    options.type = type
  }

  private mutating func set(_ option: Option, _ name: String, _ value: String) throws(UsageError) {
    switch option {
    case .threads:
      guard let count = Int(value), (1...256).contains(count) else {
        throw UsageError(message: "\(name): a number from 1 to 256 expected, not '\(value)'")
      }
      threads = count
    case .outputFormat: options.outputFormat = try format(value)
    case .tokenEmbeddingFormat: options.tokenEmbeddingFormat = try format(value)
    case .help, .pure, .allowRequantize, .dryRun: break
    }
  }

  private func format(_ name: String) throws(UsageError) -> QuantFormat {
    guard let format = QuantFormat(name: name) else {
      throw unknown("tensor type", name, QuantFormat.allCases.map(\.name))
    }
    return format
  }
}

private func unknown(_ what: String, _ name: String, _ candidates: [String]) -> QuantizeArguments.UsageError {
  let hint =
    nearest(name, among: candidates).map { "; did you mean \($0)?" } ?? " (\(candidates.joined(separator: ", ")))"
  return .init(message: "unknown \(what) '\(name)'\(hint)")
}

private enum Option: CaseIterable {
  case threads, outputFormat, tokenEmbeddingFormat, pure, allowRequantize, dryRun, help

  var spellings: [String] {
    switch self {
    case .threads: ["-t", "--threads"]
    case .outputFormat: ["--output-tensor-type"]
    case .tokenEmbeddingFormat: ["--token-embedding-type"]
    case .pure: ["--pure"]
    case .allowRequantize: ["--allow-requantize"]
    case .dryRun: ["--dry-run"]
    case .help: ["-h", "--help"]
    }
  }

  var takesValue: Bool {
    switch self {
    case .threads, .outputFormat, .tokenEmbeddingFormat: true
    case .pure, .allowRequantize, .dryRun, .help: false
    }
  }
}
