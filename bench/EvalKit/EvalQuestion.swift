import OccamCore

/// What a question asks for; the groups that accuracy is told for.
package enum QuestionType: String, Sendable, CaseIterable {
  case existence, attribute, count, position, relation, reading, description

  /// Whether an answer is right or wrong; descriptions get the F1 of their words instead.
  package var isExact: Bool { self != .description }
}

/// One line of a question set.
package struct EvalQuestion: Sendable, Equatable {
  package let id: String
  /// Path of the image's file, ready to open.
  package let image: String
  package let question: String
  /// Accepted answers, at least one.
  package let answers: [String]
  package let type: QuestionType
  /// How crowded the scene is, where the set says so.
  package let objects: Int?
  /// Members that this format does not know, kept for the results.
  package let extra: [JSONMember]

  package init(
    id: String, image: String, question: String, answers: [String], type: QuestionType, objects: Int? = nil,
    extra: [JSONMember] = []
  ) {
    self.id = id
    self.image = image
    self.question = question
    self.answers = answers
    self.type = type
    self.objects = objects
    self.extra = extra
  }
}

/// A question set: JSON lines with id, image, question, answer (a text or an array of accepted ones), type, and optionally
/// objects. Image paths are relative to the file.
package struct QuestionSet: Sendable {
  package let path: String
  package private(set) var questions: [EvalQuestion]

  /// Bytes of a question file, and characters of a line's texts.
  package static let fileLimit = 256 << 20
  package static let textLimit = 65_536

  package init(path: String) throws(EvalError) {
    let bytes: [UInt8]
    do { bytes = try Files.read(path, limit: QuestionSet.fileLimit) } catch {
      throw EvalError(.file, path, error.reason)
    }
    try self.init(bytes, path: path)
  }

  /// - Parameter path: for messages, and the folder that image paths are relative to.
  package init(_ bytes: [UInt8], path: String) throws(EvalError) {
    self.path = path
    questions = []
    var ids: [String: Int] = [:]
    for (index, line) in bytes.split(separator: 10, omittingEmptySubsequences: false).enumerated() {
      let number = index + 1
      if line.allSatisfy({ $0 == 32 || $0 == 9 || $0 == 13 }) { continue }
      let reader = LineReader(path: path, line: number)
      let question = try QuestionSet.question(reader, line)
      if let first = ids.updateValue(number, forKey: question.id) {
        throw reader.error("id '\(question.id)' stands in line \(first) already")
      }
      questions.append(question)
    }
    if questions.isEmpty { throw EvalError(.file, path, "holds no question") }
  }

  private static func question(_ reader: LineReader, _ line: ArraySlice<UInt8>) throws(EvalError) -> EvalQuestion {
    let root = try reader.object(line)
    let image = try reader.text(root, "image")
    guard let type = QuestionType(rawValue: try reader.text(root, "type")) else {
      let known = QuestionType.allCases.map(\.rawValue).joined(separator: ", ")
      throw reader.error("\"type\": expected one of \(known)")
    }
    var objects: Int?
    if let value = root["objects"], value != .null {
      guard let count = value.intValue, count >= 0 else { throw reader.error("\"objects\": expected a count") }
      objects = count
    }
    let known = ["id", "image", "question", "answer", "type", "objects"]
    guard case .object(let members) = root else { throw reader.error("expected an object") }
    return EvalQuestion(
      id: try reader.text(root, "id"), image: reader.resolve(image), question: try reader.text(root, "question"),
      answers: try answers(reader, root), type: type, objects: objects,
      extra: members.filter { !known.contains($0.name) })
  }

  private static func answers(_ reader: LineReader, _ root: JSONValue) throws(EvalError) -> [String] {
    switch root["answer"] {
    case .string: return [try reader.text(root, "answer")]
    // A dataset writer's number stays one.
    case .integer(let value): return ["\(value)"]
    case .array(let values):
      let texts = values.compactMap(\.stringValue)
      guard !texts.isEmpty, texts.count == values.count, texts.allSatisfy({ $0.utf8.count <= textLimit }) else {
        throw reader.error("\"answer\": expected a text or an array of texts")
      }
      return texts
    default: throw reader.error("\"answer\": expected a text or an array of texts")
    }
  }

  /// Only these types, then the first `limit`.
  package mutating func restrict(types: Set<QuestionType>?, limit: Int?) {
    if let types { questions = questions.filter { types.contains($0.type) } }
    if let limit { questions = Array(questions.prefix(limit)) }
  }

  /// `count` questions spread evenly over the set, so that they are about as many images as there can be.
  package mutating func sample(_ count: Int) {
    guard count > 0, count < questions.count else { return }
    let total = questions.count
    questions = (0..<count).map { questions[$0 * total / count] }
  }

  /// Questions of one image next to each other, images in the order of their first question: each is encoded once.
  package var byImage: [[EvalQuestion]] {
    var places: [String: Int] = [:]
    var groups: [[EvalQuestion]] = []
    for question in questions {
      if let place = places[question.image] {
        groups[place].append(question)
      } else {
        places[question.image] = groups.count
        groups.append([question])
      }
    }
    return groups
  }
}

/// Reads members of one line and names file and line in its errors.
struct LineReader {
  let path: String
  let line: Int

  func error(_ message: String) -> EvalError { EvalError(.line, path, line: line, message) }

  func object(_ bytes: ArraySlice<UInt8>) throws(EvalError) -> JSONValue {
    let value: JSONValue
    do { value = try JSONValue(parsing: Array(bytes)) } catch {
      throw self.error("column \(error.column): \(error.reason)")
    }
    guard case .object = value else { throw error("expected an object, found \(value.kindName)") }
    return value
  }

  /// A member that is a text and not empty.
  func text(_ object: JSONValue, _ name: String) throws(EvalError) -> String {
    guard let value = object[name] else { throw error("\"\(name)\" is missing") }
    guard let text = value.stringValue else { throw error("\"\(name)\": expected a text, found \(value.kindName)") }
    guard !text.isEmpty else { throw error("\"\(name)\" is empty") }
    guard text.utf8.count <= QuestionSet.textLimit else { throw error("\"\(name)\" is too long") }
    return text
  }

  func resolve(_ image: String) -> String {
    guard !image.hasPrefix("/"), let slash = path.lastIndex(of: "/") else { return image }
    return path[...slash] + image
  }
}
