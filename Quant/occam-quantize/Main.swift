import OccamCommandLine
import OccamCore
import OccamQuantizer

/// occam-quantize IN OUT TYPE: the same model in fewer bits.
@main enum Main {
  static func main() { Tool.run(Flags.spec, quantize) }

  private static func quantize(_ arguments: Arguments) throws -> ExitCode {
    let start = Clock.nanoseconds()
    let (input, output, options) = try arguments.quantization()
    let quantizer = try Quantizer(path: input, options)
    let plan = quantizer.plan
    let report = Report(plan)
    for tensor in plan.fallbacks { Log.line(report.fallback(tensor)) }
    let isDryRun = arguments[Flags.dryRun]
    if let output, !isDryRun {
      let requested = arguments[Flags.threads] ?? Switch.threads.value.flatMap { Int($0) }
      let team = WorkerTeam(threads: requested ?? Machine.usableCores())
      try quantizer.write(to: output, team: team) { index, tensor in Log.line(report.line(index, tensor)) }
    } else {
      for (index, tensor) in plan.tensors.enumerated() { Log.line(report.line(index, tensor)) }
    }
    Log.line(report.summary)
    if !isDryRun { Log.line("time  \(fixed(Clock.milliseconds(since: start) / 1000, 1)) s") }
    return .success
  }
}
