import Glibc
import OccamCore

package enum ExitCode: Int32, Sendable {
  case success = 0
  /// A run-time error.
  case failure = 1
  /// A command line that cannot be understood.
  case usage = 2
  /// 128 + SIGINT.
  case interrupted = 130
}

/// The frame of every command-line tool: signals, error messages, exit codes. Ctrl-C ends a tool at once with 130; one that
/// has something to keep calls `Interrupt.install` before the work in question.
package enum Tool {
  /// Reads the command line, answers the flags that only print a text, and runs the tool to its end.
  package static func run(_ spec: CommandLineSpec, _ body: (Arguments) throws -> ExitCode) -> Never {
    run(spec.tool) {
      let arguments = try spec.parse(CommandLine.arguments.dropFirst())
      if let text = spec.text(asked: arguments, width: Terminal.width) {
        try Terminal.output(text)
        return .success
      }
      try spec.checkOperands(arguments)
      return try body(arguments)
    }
  }

  /// Runs a tool to its end. Every error becomes one line on stderr, `name: message`.
  package static func run(_ name: String, _ body: () throws -> ExitCode) -> Never {
    start(name)
    do {
      finish(try body())
    } catch {
      finish(report(error, name: name))
    }
  }

  package static func run(_ name: String, _ body: () async throws -> ExitCode) async -> Never {
    start(name)
    do {
      finish(try await body())
    } catch {
      finish(report(error, name: name))
    }
  }

  /// Says what went wrong on stderr and returns the exit code for it.
  package static func report(
    _ error: any Error, name: String, to write: (String) -> Void = { Terminal.error($0) }
  ) -> ExitCode {
    switch error {
    case let error as UsageError:
      write("\(name): \(error)\nTry '\(name) --help'.\n")
      return .usage
    case is Interrupted, is CancellationError:
      write("\(name): interrupted\n")
      return .interrupted
    default:
      write("\(name): \(error)\n")
      return .failure
    }
  }

  private static func start(_ name: String) {
    Interrupt.ignoreBrokenPipes()
    Interrupt.endProcess(as: name)
  }

  private static func finish(_ code: ExitCode) -> Never { exit(code.rawValue) }
}
