import Glibc
import OccamCore
import OccamQuantizer

/// occam-quantize IN OUT TYPE: the same model in fewer bits.
@main enum Main {
  static func main() {
    // A reader of the progress lines that goes away must not leave half a file.
    signal(SIGPIPE, SIG_IGN)
    do {
      switch try QuantizeArguments.parse(Array(CommandLine.arguments.dropFirst())) {
      case .help: print(help, terminator: "")
      case .quantize(let arguments): try quantize(arguments)
      }
    } catch let error as QuantizeArguments.UsageError {
      Log.line("occam-quantize: \(error.message)\nTry 'occam-quantize --help'.")
      exit(2)
    } catch {
      Log.line("occam-quantize: \(error)")
      exit(1)
    }
  }

  private static func quantize(_ arguments: QuantizeArguments) throws(QuantizeError) {
    let start = Clock.nanoseconds()
    let quantizer = try Quantizer(path: arguments.input, arguments.options)
    let plan = quantizer.plan
    let report = Report(plan)
    for tensor in plan.fallbacks { Log.line(report.fallback(tensor)) }
    if let output = arguments.output, !arguments.isDryRun {
      let requested = arguments.threads ?? Switch.threads.value.flatMap { Int($0) }
      let team = WorkerTeam(threads: requested ?? Machine.usableCores())
      try quantizer.write(to: output, team: team) { index, tensor in Log.line(report.line(index, tensor)) }
    } else {
      for (index, tensor) in plan.tensors.enumerated() { Log.line(report.line(index, tensor)) }
    }
    Log.line(report.summary)
    if !arguments.isDryRun { Log.line("time  \(fixed(Clock.milliseconds(since: start) / 1000, 1)) s") }
  }

  private static var help: String {
    var text = """
      usage: occam-quantize [options] IN.gguf OUT.gguf TYPE
             occam-quantize --dry-run [options] IN.gguf TYPE

      Converts the weights of a text model or of a vision encoder (mmproj) to TYPE. Norms, biases and position and
      patch embeddings keep their type. The output is loadable by llama.cpp.

      types:

      """
    for type in QuantizationType.allCases { text += "  \(pad(type.rawValue, 8, left: true))\(type.summary)\n" }
    return text + """

      options:
        -t, --threads N              threads (default: OCCAM_THREADS, else the cores this process may use)
            --output-tensor-type F   format of output.weight
            --token-embedding-type F format of token_embd.weight
            --pure                   all weights in the base format, no mix
            --allow-requantize       accept input that is quantized already (costs quality)
            --dry-run                show sizes, write nothing
        -h, --help                   this text

      exit status: 0 done, 1 the file could not be read, converted or written, 2 wrong usage.

      """
  }
}
