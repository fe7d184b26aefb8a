import Glibc
import Occam

/// Runs a model's forward passes for callgrind to count: instructions, heap allocations, locks. Tokens, shapes and order
/// are fixed, and every pass ran once before it is counted. bench/counts.py runs it and reads the counts.
@main enum Main {
  static func main() {
    let arguments = CommandLine.arguments
    guard arguments.count == 3, let threads = Int(arguments[2]) else {
      print("usage: count-bench MODEL.gguf THREADS\n\nRun by bench/counts.py.")
      exit(2)
    }
    do {
      var options = ModelOptions()
      options.threads = threads
      let model = try VisionLanguageModel(path: arguments[1], options: options)
      let session = try model.makeSession()
      for phase in Phase.allCases { try phase.run(session) }
      for phase in Phase.allCases { try counted(phase, session) }
      print("\(model.kernel): \(Phase.allCases.map { "\($0)" }.joined(separator: " "))")
    } catch {
      print("count-bench: \(error)")
      exit(1)
    }
  }
}

/// What is counted, in this order. Differences of two cancel what a call costs besides its tokens. All but
/// `decode72` stay inside one block of 64 KV cells.
enum Phase: CaseIterable {
  case prefill8, prefill40, decode8, decode40, decode72, reply8, reply40

  func run(_ session: Session) throws {
    switch self {
    case .prefill8: _ = try session.secondsToPrefill(tokens: 8)
    case .prefill40: _ = try session.secondsToPrefill(tokens: 40)
    case .decode8: _ = try session.secondsToDecode(tokens: 8)
    case .decode40: _ = try session.secondsToDecode(tokens: 40)
    case .decode72: _ = try session.secondsToDecode(tokens: 72)
    case .reply8: try reply(session, tokens: 8)
    case .reply40: try reply(session, tokens: 40)
    }
  }

  /// Decoding with sampling, detokenising and streaming around it.
  private func reply(_ session: Session, tokens: Int) throws {
    session.clear()
    var options = GenerationOptions()
    options.raw = true
    options.maxTokens = tokens
    options.ignoresEndOfText = true
    options.seed = 1
    try session.respond(to: "Once", options: options)
  }
}

/// A symbol that callgrind can be given: counters are cleared when it is entered and written out when it is left.
@_silgen_name("occam_counted")
@inline(never)
func counted(_ phase: Phase, _ session: Session) throws { try phase.run(session) }
