import Occam
import OccamCore
import OccamEvalKit
import OccamPruning
import OccamTestSupport

/// Rows as a view; the buffer goes with it.
struct Rows {
  let buffer: AlignedBuffer<Float>
  let view: MatrixView<Float>

  init(_ rows: [[Float]]) {
    let columns = rows.first?.count ?? 0
    buffer = AlignedBuffer(count: max(rows.count * columns, 1))
    view = MatrixView(buffer, rows: rows.count, columns: columns)
    for (index, row) in rows.enumerated() {
      for (column, value) in row.enumerated() { view.row(index)[column] = value }
    }
  }

  init(_ array: NumPyArray) {
    self.init((0..<array.shape[0]).map { array.values(at: $0) })
  }

  /// Random rows in clusters.
  init(seed: UInt64, rows: Int, columns: Int) {
    var generator = SeededGenerator(seed: seed)
    let centres = (0..<4).map { _ in (0..<columns).map { _ in generator.normal() } }
    self.init(
      (0..<rows).map { _ in
        let centre = centres[Int.random(in: 0..<4, using: &generator)]
        return centre.map { $0 + 0.5 * generator.normal() }
      })
  }
}

extension PruningSettings {
  static func plain(layer: Int = 2) -> PruningSettings {
    PruningSettings(lambda1: 0, lambda2: 0, layer: layer, reference: .mean)
  }
}

/// The error that `body` throws.
func evalError(_ body: () throws -> Void) -> EvalError? {
  do {
    try body()
    return nil
  } catch {
    return error as? EvalError
  }
}

func temporaryFile(_ name: String, _ text: String) throws -> String {
  let path = "\(TemporaryFolder.make())/\(name)"
  try Files.write(Array(text.utf8), to: path)
  return path
}

/// Two photos with three questions each, as a file.
enum SampleQuestions {
  static func write(prefix: String = "t") throws -> String {
    var lines = ""
    for (index, photo) in ["cat.jpg", "cup.jpg"].enumerated() {
      let image = "\(Locations.photos)/\(photo)"
      for (number, (question, answer, type)) in [
        ("is there a cat?", "yes", "existence"), ("how many cups?", "2", "count"),
        ("describe the picture", "a cat and a cup", "description"),
      ].enumerated() {
        let line: JSONValue = [
          "id": .string("\(prefix)\(index)-\(number)"), "image": .string(image), "question": .string(question),
          "answer": .string(answer), "type": .string(type), "objects": .integer(index + 1), "scene": "kitchen",
        ]
        lines += line.text() + "\n"
      }
    }
    return try temporaryFile("\(prefix).jsonl", lines)
  }

  static func set() throws -> QuestionSet { try QuestionSet(path: try write()) }
}
