// fuzz-module: OccamCore Sources/Core
// fuzz-module: OccamHTTP Sources/HTTP
// fuzz-corpus: Tests/Fuzz/HTTP/seeds/*
// fuzz-words: Tests/Fuzz/HTTP/http.dict
import OccamHTTP

/// Any bytes are requests or a refusal, and the same ones in whatever pieces they come. The first byte says how many of
/// the next ones are lengths of pieces; what follows is the connection.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzHTTP(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  let input = Array(UnsafeBufferPointer(start: data, count: size))
  guard let first = input.first else { return 0 }
  let count = min(Int(first) % 32, input.count - 1)
  let lengths = input[1..<1 + count].map(Int.init)
  let bytes = Array(input[(1 + count)...])
  var limits = HTTPLimits()
  (limits.requestLineBytes, limits.headerBytes, limits.headerCount, limits.bodyBytes) = (200, 400, 10, 1000)
  let whole = Record(bytes, lengths: [], limits)
  precondition(whole == Record(bytes, lengths: lengths, limits))
  for request in whole.requests {
    precondition(request.head.utf8.count <= 2000 && request.body.count <= limits.bodyBytes)
    precondition(!request.isWhole || request.length == nil || request.length == request.body.count)
  }
  return 0
}

/// What the parser says of a connection.
struct Record: Equatable {
  struct Request: Equatable {
    let head: String
    let length: Int?
    var body: [UInt8] = []
    var isWhole = false
  }

  var requests: [Request] = []
  var refusal: HTTPRefusal?

  /// - Parameter lengths: of the pieces, over and over; none: one piece.
  init(_ bytes: [UInt8], lengths: [Int], _ limits: HTTPLimits) {
    var parser = HTTPRequestParser(limits: limits)
    var (start, turn) = (0, 0)
    repeat {
      let length = lengths.isEmpty ? bytes.count : lengths[turn % lengths.count]
      // Empty pieces are tried as well, but must not be all there is.
      let end = min(bytes.count, start + (turn % 64 == 63 ? max(1, length) : length))
      bytes[start..<end].withUnsafeBufferPointer { feed($0, &parser) }
      (start, turn) = (end, turn + 1)
    } while start < bytes.count && refusal == nil
  }

  mutating func feed(_ piece: UnsafeBufferPointer<UInt8>, _ parser: inout HTTPRequestParser) {
    var position = 0
    do throws(HTTPRefusal) {
      while true {
        let before = position
        switch try parser.step(piece, from: &position) {
        case .more:
          precondition(position == piece.count)
          return
        case .head(let head, let framing):
          let queries = head.query.map { "\($0.name)=\($0.value)" }
          let fields = head.headers.fields.map { "\($0.name):\($0.value)" }
          precondition(!head.path.utf8.contains(0) && !head.method.isEmpty)
          var length: Int?
          switch framing.body {
          case .none: length = 0
          case .length(let count): length = count
          case .chunked: break
          }
          requests.append(
            Request(head: "\(head.method) \(head.target) \(head.path) \(queries) \(fields) \(framing)", length: length))
        case .body(let range):
          precondition(range.lowerBound >= before && range.upperBound == position && !range.isEmpty)
          requests[requests.count - 1].body += piece[range]
        case .end: requests[requests.count - 1].isWhole = true
        }
      }
    } catch {
      refusal = error
    }
  }
}
