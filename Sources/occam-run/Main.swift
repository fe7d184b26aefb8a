import Occam
import OccamCommandLine

@main enum Main {
  static func main() {
    Tool.run(Flags.spec) { arguments in
      if let path = arguments[Flags.inspect] {
        try Terminal.output(try Inspection.lines(path: path).map { $0 + "\n" }.joined())
        return .success
      }
      if arguments[Flags.dryRun] {
        let plan = try MemoryPlan(
          path: try arguments.require(Flags.model), projector: arguments[Flags.projector],
          session: try arguments.sessionOptions(), options: arguments.modelOptions,
          speculation: arguments.speculation, images: try arguments.all(Flags.image).map { try PhotoFile.read($0) })
        let budget = arguments[Flags.visualBudget] ?? arguments[Flags.maxVisualTokens]
        try Terminal.output(plan.lines(visualBudget: budget).map { $0 + "\n" }.joined())
        return .success
      }
      return try Run(arguments).start()
    }
  }
}
