import Occam
import OccamCommandLine

@main enum Main {
  static func main() {
    Tool.run("occam-serve") {
      let arguments = try ServeFlags.spec.parse(CommandLine.arguments.dropFirst())
      if arguments[ServeFlags.help] {
        try Terminal.output(ServeFlags.spec.help(width: Terminal.width))
        return .success
      }
      if arguments[ServeFlags.helpEnv] {
        try Terminal.output(OccamEnvironment.help)
        return .success
      }
      if arguments[ServeFlags.version] {
        try Terminal.output("occam-serve \(OccamVersion.text)\n")
        return .success
      }
      try ServeFlags.spec.checkOperands(arguments)
      Allocator.limitArenas(to: 2)
      return try Serve(arguments).run()
    }
  }
}
