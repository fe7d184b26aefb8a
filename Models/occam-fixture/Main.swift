import Glibc
import OccamFixtures

@main enum Main {
  private static let usage = """
    usage: occam-fixture NAME FOLDER [--type TYPE] [--mmproj-type TYPE] [--vocab FILE] [--seed N] [--fused]

    Writes a model with random weights, NAME-TYPE.gguf and, unless it reads text only, mmproj-NAME-TYPE.gguf, into
    FOLDER. The same arguments give the same bytes on every machine.

      NAME                \(FixtureSpec.all.map(\.name).joined(separator: ", "));
                          in a published model's size: \(FixtureSpec.published.map(\.name).joined(separator: ", "))
      --type TYPE         \(FixtureType.allCases.map(\.rawValue).joined(separator: ", ")) (default: F16; for timing: Q4_0)
      --mmproj-type TYPE  the same for the mmproj (default: as --type; for timing: F16)
      --vocab FILE        take the vocabulary of this GGUF file (default: a small built-in one)
      --seed N            other weights
      --fused             one file, NAME-TYPE-fused.gguf, with both models

    """

  static func main() {
    do {
      let request = try Request(Array(CommandLine.arguments.dropFirst()))
      guard let request else {
        print(usage, terminator: "")
        return
      }
      mkdir(request.folder, 0o777)
      let files = try request.spec.write(
        to: request.folder, type: request.type, projectorType: request.projectorType, isFused: request.isFused)
      print(files.text)
      if let projector = files.projector { print(projector) }
    } catch let error as UsageError {
      complain("occam-fixture: \(error.message)\n\n\(usage)")
      exit(2)
    } catch {
      complain("occam-fixture: \(error)\n")
      exit(1)
    }
  }

  private static func complain(_ message: String) {
    _ = Array(message.utf8).withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}
