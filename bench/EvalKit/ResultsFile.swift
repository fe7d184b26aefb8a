import Glibc
import OccamCore

/// Results on disk: a first line about the model, then a line an answer, appended as they come. A run that was stopped goes
/// on where it ended; a last line cut short by a crash is dropped and asked again.
package final class ResultsFile {
  package let path: String
  package private(set) var records: [EvalRecord] = []
  private var places: [Key: Int] = [:]
  private var descriptor: Int32 = -1

  private struct Key: Hashable {
    let id: String
    let setting: String
  }

  package static let fileLimit = 1 << 30

  /// Opens or begins a file.
  /// - Parameter run: what the results belong to; a file of another run is refused.
  package init(path: String, run: JSONValue) throws(EvalError) {
    self.path = path
    var bytes: [UInt8] = []
    if Files.exists(path) {
      do { bytes = try Files.read(path, limit: ResultsFile.fileLimit) } catch {
        throw EvalError(.file, path, error.reason)
      }
    }
    let whole = ResultsFile.wholeLines(bytes)
    try read(bytes[..<whole.count], run: run)
    descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw failure() }
    if whole.count < bytes.count, ftruncate(descriptor, off_t(whole.count)) != 0 { throw failure() }
    if whole.needsLineBreak { try append("\n") }
    if whole.count == 0 { try append(run.text() + "\n") }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// How many bytes are whole lines. A last line without its line break counts if it can be read.
  private static func wholeLines(_ bytes: [UInt8]) -> (count: Int, needsLineBreak: Bool) {
    guard let last = bytes.last, last != 10 else { return (bytes.count, false) }
    let start = bytes.lastIndex(of: 10).map { $0 + 1 } ?? 0
    let isWhole = (try? JSONValue(parsing: Array(bytes[start...]))) != nil
    return isWhole ? (bytes.count, true) : (start, false)
  }

  private func read(_ bytes: ArraySlice<UInt8>, run: JSONValue) throws(EvalError) {
    for (index, line) in bytes.split(separator: 10, omittingEmptySubsequences: false).enumerated() where !line.isEmpty {
      let reader = LineReader(path: path, line: index + 1)
      let value = try reader.object(line)
      if index == 0 {
        guard value["run"] != nil else { throw reader.error("not the first line of a results file") }
        guard value == run else {
          throw EvalError(.mismatch, path, line: 1, "holds results of another run: \(value.text()), not \(run.text())")
        }
      } else {
        keep(try EvalRecord(value, reader))
      }
    }
  }

  private func keep(_ record: EvalRecord) {
    let key = Key(id: record.id, setting: record.setting)
    if let place = places[key] {
      records[place] = record
    } else {
      places[key] = records.count
      records.append(record)
    }
  }

  /// The answer on file for a question under a setting.
  /// - Throws: when the question of that id was another one.
  package func record(_ question: EvalQuestion, setting: String) throws(EvalError) -> EvalRecord? {
    guard let place = places[Key(id: question.id, setting: setting)] else { return nil }
    let record = records[place]
    guard record.question == question.question, record.expected == question.answers, record.type == question.type
    else { throw EvalError(.mismatch, path, "holds another question under the id '\(question.id)'") }
    return record
  }

  package func add(_ record: EvalRecord) throws(EvalError) {
    try append(record.json.text() + "\n")
    keep(record)
  }

  private func append(_ text: String) throws(EvalError) {
    let bytes = Array(text.utf8)
    var written = 0
    while written < bytes.count {
      let count = bytes[written...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 {
        if errno == EINTR { continue }
        throw failure()
      }
      written += count
    }
  }

  private func failure() -> EvalError { EvalError(.file, path, String(cString: strerror(errno))) }
}
