import Occam
import OccamCommandLine

/// A conversation on the terminal: a line is a question; /image FILE shows a photo with the next one.
struct Chat {
  let run: Run
  let session: Session
  let options: GenerationOptions

  func start() throws -> ExitCode {
    Terminal.error("Ask a question. /image FILE shows a photo, /clear starts over, /quit ends.\n")
    var images = run.arguments.all(Flags.image).map { ImageSource.file($0) }
    for image in images { Terminal.error("image: \(name(image))\n") }
    while true {
      Terminal.error("> ")
      guard let line = readLine() else {
        Terminal.error("\n")
        return Interrupt.isRequested ? .interrupted : .success
      }
      let words = line.split(separator: " ", maxSplits: 1)
      switch words.first {
      case nil: continue
      case "/quit", "/exit": return .success
      case "/clear":
        session.clear()
        images = []
      case "/image":
        guard words.count == 2 else {
          Terminal.error("/image needs the name of a file\n")
          continue
        }
        images.append(.file(String(words[1])))
      case .some(let word) where word.hasPrefix("/"):
        Terminal.error("unknown command \(word): /image FILE, /clear, /quit\n")
      default:
        Interrupt.install()
        do {
          _ = try run.answer(session, line, images, options)
        } catch {
          // The session has forgotten the turn; the chat goes on.
          _ = Tool.report(error, name: "occam-run")
          if error is OccamError { images = [] }
          Interrupt.install()
          continue
        }
        images = []
        Interrupt.install()
      }
    }
  }

  private func name(_ image: ImageSource) -> String { if case .file(let path) = image { path } else { "" } }
}
