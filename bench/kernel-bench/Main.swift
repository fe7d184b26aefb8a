import Glibc
import OccamCore
import OccamMatmul

/// Speed of the matrix products beside what the machine can do at most.
@main
struct KernelBench {
  static func main() {
    do {
      let options = try Options(Array(CommandLine.arguments.dropFirst()))
      guard !options.help else { return print(Options.usage) }
      try run(options)
    } catch {
      Log.line("kernel-bench: \(error)")
      exit(error is UsageError ? 2 : 1)
    }
  }

  private static func run(_ options: Options) throws {
    let team = WorkerTeam(threads: options.threads)
    let one = WorkerTeam(threads: 1)
    let report = Report(json: options.json)
    for name in options.sets {
      let kernels = try KernelSet.named(name)
      let bounds = Bounds(kernels, one: one, team: team)
      report.bounds(kernels.name, bounds, threads: team.threads)
      for format in options.formats {
        for shape in options.shapes {
          let matrices = try BenchMatrices(format, shape, kernels, team, limitsSums: options.limitsSums)
          for tokens in options.tokens {
            let seconds = matrices.time(tokens: tokens, kernels, team, budget: options.seconds)
            report.product(
              kernels.name, format, shape, tokens: tokens, threads: team.threads, seconds: seconds,
              bytes: matrices.byteCount, bounds: bounds)
          }
        }
      }
    }
  }
}
