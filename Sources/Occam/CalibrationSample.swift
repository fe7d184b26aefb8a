import OccamCore

/// One question about one photo, for `Calibrator`.
public struct CalibrationSample: Sendable, Equatable {
  /// A JPEG or PNG file.
  public let image: String
  public let question: String

  public init(image: String, question: String) {
    self.image = image
    self.question = question
  }

  /// Photos and questions that know nothing of each other: asked in turn, one an image and again from the start.
  public static func pairing(images: [String], questions: [String]) -> [CalibrationSample] {
    guard !images.isEmpty, !questions.isEmpty else { return [] }
    return (0..<max(images.count, questions.count)).map {
      CalibrationSample(image: images[$0 % images.count], question: questions[$0 % questions.count])
    }
  }

  /// The pairs of a question set, JSON lines with "image" (relative to the file) and "question", as `occam-eval` reads them:
  /// at most `limit`, spread over the file.
  public static func read(_ path: String, limit: Int) throws(OccamError) -> [CalibrationSample] {
    let lines = try TextFile.lines(path)
    let count = min(max(limit, 0), lines.count)
    var samples: [CalibrationSample] = []
    for sample in 0..<count {
      let number = sample * lines.count / count
      func failure(_ message: String) -> OccamError {
        OccamError(.invalidOption, "\(path): sample \(number + 1)", message)
      }
      let line: JSONValue
      do { line = try JSONValue(parsing: Array(lines[number].utf8)) } catch {
        throw failure("column \(error.column): \(error.reason)")
      }
      func text(_ name: String) throws(OccamError) -> String {
        guard let text = line[name]?.stringValue, !text.isEmpty else {
          throw failure("\"\(name)\" is missing or no text")
        }
        return text
      }
      let (image, question) = (try text("image"), try text("question"))
      let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
      samples.append(CalibrationSample(image: image.hasPrefix("/") ? image : folder + image, question: question))
    }
    return samples
  }
}
