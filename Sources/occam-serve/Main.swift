import OccamCommandLine

@main enum Main {
  static func main() {
    Tool.run(ServeFlags.spec) { arguments in
      Allocator.limitArenas(to: 2)
      return try Serve(arguments).run()
    }
  }
}
