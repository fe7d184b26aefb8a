import Occam
import OccamCommandLine

/// A conversation on the terminal: a line is a question; /image FILE shows a photo with the next one.
///
/// Ctrl-C ends a reply and comes back to the prompt; at the prompt it ends the program, as Ctrl-D and /quit do.
struct Chat {
  let run: Run
  let session: Session
  let options: GenerationOptions
  /// Shown with the first question.
  let photos: [ImageSource]

  private static let help = "/image FILE shows a photo with the next question, /clear starts over, /quit ends\n"

  func start() throws -> ExitCode {
    Terminal.error("Ask a question. " + Chat.help)
    var images = photos
    if !images.isEmpty { Terminal.error("\(count(images)) to the first question\n") }
    while true {
      Terminal.error("> ")
      guard let line = readLine() else {
        Terminal.error("\n")
        return .success
      }
      let text = trimmed(line[...])
      let command = text.prefix { $0 != " " }
      switch command {
      case "": continue
      case "/quit", "/exit": return .success
      case "/help": Terminal.error(Chat.help)
      case "/clear":
        session.clear()
        images = []
      case "/image":
        if let image = image(trimmed(text.dropFirst(command.count))) { images.append(image) }
      case _ where command.hasPrefix("/"):
        Terminal.error("unknown command \(command): " + Chat.help)
      default:
        if try answer(String(text), images) { images = [] }
      }
    }
  }

  /// - Returns: whether the images were taken: they stay with the session, or are no good.
  private func answer(_ question: String, _ images: [ImageSource]) throws -> Bool {
    let before = session.imageCount
    do {
      _ = try run.answer(session, question, images, options)
      return true
    } catch let error as OccamError {
      // The session has forgotten the turn; the chat goes on.
      _ = Tool.report(error, name: "occam-run")
      if error.code == .promptTooLong || error.code == .contextFull { Terminal.error("/clear starts over\n") }
      return error.code == .invalidImage
    } catch is Interrupted {
      Terminal.error("occam-run: interrupted\n")
      // Before the first token the turn did not take place, and its images are shown with the next one.
      return session.imageCount > before
    }
  }

  /// Names may stand in quotes, as terminals paste them, and begin with the home folder's ~.
  private func image(_ words: Substring) -> ImageSource? {
    var name = String(words)
    for quote in ["'", "\""] where name.count > 1 && name.hasPrefix(quote) && name.hasSuffix(quote) {
      name = String(name.dropFirst().dropLast())
    }
    if name.hasPrefix("~/"), let home = OccamProcess.homeFolder { name = home + name.dropFirst() }
    guard !name.isEmpty, name != "-" else {
      Terminal.error("/image needs the name of a file\n")
      return nil
    }
    do throws(OccamError) {
      let image = try PhotoFile.read(name)
      Terminal.error("\(name) goes with the next question\n")
      return image
    } catch {
      _ = Tool.report(error, name: "occam-run")
      return nil
    }
  }

  private func count(_ images: [ImageSource]) -> String {
    images.count == 1 ? "1 photo goes" : "\(images.count) photos go"
  }

  private func trimmed(_ text: Substring) -> Substring {
    var text = text.drop { $0 == " " || $0 == "\t" }
    while let last = text.last, last == " " || last == "\t" { text.removeLast() }
    return text
  }
}
