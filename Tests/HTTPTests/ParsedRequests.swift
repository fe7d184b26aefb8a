import OccamHTTP

/// What a parser makes of a connection's bytes, in a form that can be compared.
struct ParsedRequests: Equatable {
  struct Request: Equatable {
    var method = ""
    var target = ""
    var path = ""
    var query: [String] = []
    var headers = HTTPHeaders()
    var framing: HTTPFraming?
    var body: [UInt8] = []
    var isWhole = false
  }

  private(set) var requests: [Request] = []
  private(set) var refusal: HTTPRefusal?

  /// - Parameter cuts: where the bytes are cut into pieces, ascending.
  init(_ bytes: [UInt8], cuts: [Int] = [], limits: HTTPLimits = HTTPLimits()) {
    var parser = HTTPRequestParser(limits: limits)
    var start = 0
    for end in cuts + [bytes.count] where refusal == nil {
      bytes[start..<end].withUnsafeBufferPointer { feed($0, &parser) }
      start = end
    }
  }

  init(_ text: String, cuts: [Int] = [], limits: HTTPLimits = HTTPLimits()) {
    self.init(Array(text.utf8), cuts: cuts, limits: limits)
  }

  private mutating func feed(_ piece: UnsafeBufferPointer<UInt8>, _ parser: inout HTTPRequestParser) {
    var position = 0
    do throws(HTTPRefusal) {
      while true {
        switch try parser.step(piece, from: &position) {
        case .more: return
        case .head(let head, let framing):
          requests.append(
            Request(
              method: head.method, target: head.target, path: head.path,
              query: head.query.map { "\($0.name)=\($0.value)" },
              headers: head.headers, framing: framing))
        case .body(let range): requests[requests.count - 1].body += piece[range]
        case .end: requests[requests.count - 1].isWhole = true
        }
      }
    } catch {
      refusal = error
    }
  }
}
