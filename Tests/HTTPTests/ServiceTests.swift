import Glibc
import OccamHTTP
import OccamTestSupport
import Testing

@Suite struct PercentEncodingTests {
  @Test(
    arguments: [
      ("", ""), ("a+b", "a+b"), ("%41%c3%B6%25", "A\u{F6}%"), ("%", nil), ("%4", nil), ("%4g", nil), ("%%41", nil),
      ("a%00b", nil), ("a\0b", nil), ("%ff", nil), ("%C3", nil),
    ] as [(String, String?)])
  func decodesText(text: String, decoded: String?) {
    #expect(PercentEncoding.decode(text.utf8) == decoded)
  }

  @Test func plusIsASpaceInForms() {
    #expect(PercentEncoding.decode("a+b%2B".utf8, plusIsSpace: true) == "a b+")
  }
}

@Suite struct ServerSentEventsTests {
  @Test(arguments: [
    ("", "data: \n\n"), ("x", "data: x\n\n"), ("a\nb", "data: a\ndata: b\n\n"), ("a\r\nb", "data: a\ndata: b\n\n"),
    ("a\rb", "data: a\ndata: b\n\n"), ("a\n\nb\n", "data: a\ndata: \ndata: b\ndata: \n\n"),
    ("\r\n\r\n", "data: \ndata: \ndata: \n\n"), ("\n\r", "data: \ndata: \ndata: \n\n"), ("é", "data: é\n\n"),
  ])
  func framesEveryLine(data: String, frame: String) {
    #expect(String(decoding: ServerSentEvents.frame(data), as: UTF8.self) == frame)
  }

  @Test func namesTheEvent() {
    #expect(
      String(decoding: ServerSentEvents.frame("x", event: "er\nror"), as: UTF8.self) == "event: er ror\ndata: x\n\n")
  }
}

@Suite struct SocketActivationTests {
  static func descriptors(_ process: String?, _ count: String?) throws(HTTPError) -> [Int32] {
    try SocketActivation.descriptors(
      environment: { $0 == "LISTEN_PID" ? process : $0 == "LISTEN_FDS" ? count : nil }, process: 42)
  }

  @Test func findsTheSockets() throws {
    #expect(try SocketActivationTests.descriptors("42", "2") == [3, 4])
    #expect(try SocketActivationTests.descriptors("42", "0") == [])
    #expect(try SocketActivationTests.descriptors("43", "2") == [])
    #expect(try SocketActivationTests.descriptors("43", "nonsense") == [])
    #expect(try SocketActivationTests.descriptors(nil, "2") == [])
    #expect(try SocketActivationTests.descriptors("42", nil) == [])
  }

  @Test(arguments: [
    ("", "1"), ("x", "1"), ("-1", "1"), ("99999999999", "1"), ("42", ""), ("42", "-1"), ("42", "99999"),
  ])
  func refusesNonsense(process: String, count: String) {
    #expect(throws: HTTPError.self) { try SocketActivationTests.descriptors(process, count) }
  }

  @Test(arguments: [true, false]) func notifiesTheManager(isAbstract: Bool) throws {
    // An abstract name is any; a folder that is only this process's makes it one of its own.
    let path = "\(TemporaryFolder.make())/notify"
    let manager = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    defer { close(manager) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let start = isAbstract ? 1 : 0
    withUnsafeMutableBytes(of: &address.sun_path) { bytes in
      for (index, byte) in path.utf8.enumerated() { bytes[start + index] = byte }
    }
    // An abstract name ends where its length says.
    let length = socklen_t(2 + path.utf8.count + 1)
    let status = withUnsafeBytes(of: &address) {
      bind(manager, $0.assumingMemoryBound(to: sockaddr.self).baseAddress, length)
    }
    try #require(status == 0)
    try SocketActivation.notify("READY=1", address: isAbstract ? "@\(path)" : path)
    var buffer = [UInt8](repeating: 0, count: 64)
    let count = recv(manager, &buffer, buffer.count, Int32(MSG_DONTWAIT))
    #expect(count == 7 && buffer.prefix(7).elementsEqual("READY=1".utf8))
  }

  @Test func notifyingSaysWhatIsWrong() throws {
    try SocketActivation.notify("READY=1", address: nil)
    try SocketActivation.notify("READY=1", address: "")
    #expect(throws: HTTPError.self) { try SocketActivation.notify("READY=1", address: "relative") }
    #expect(throws: HTTPError.self) { try SocketActivation.notify("READY=1", address: "/nowhere/at/all") }
  }
}
