import Dispatch
import Glibc
import OccamCore
import OccamHTTP
import OccamTestSupport
import Testing

/// In processes of their own: the descriptors, their limit and the signals belong to the whole process.
@Suite struct ServerProcessTests {
  @Test func aClientThatLeftSendsNoSignal() async {
    await #expect(processExitsWith: .success) {
      signal(SIGPIPE, SIG_DFL)
      let path = "\(TemporaryFolder.make())/socket"
      let gate = DispatchSemaphore(value: 0)
      let server = try TestServer(
        .unix(path: path),
        handler: { exchange in
          if exchange.request.head.path == "/block" { gate.wait() }
          TestServer.echo(exchange)
        })
      let client = try HTTPTestClient(path: path)
      try client.send("GET /block HTTP/1.1\r\nHost: a\r\n\r\n")
      // The answer is sent to a socket that is closed already.
      client.disconnect()
      gate.signal()
      guard try HTTPTestClient(path: path).get("/").status == 200 else { exit(2) }
      server.server.stop()
      exit(server.hasEnded() ? 0 : 3)
    }
  }

  @Test func clientsAreToldWhenNoDescriptorIsLeft() async {
    await #expect(processExitsWith: .success) {
      let gate = DispatchSemaphore(value: 0)
      let server = try TestServer(handler: { exchange in
        // The loop stands still meanwhile: clients wait in the kernel's queue.
        if exchange.request.head.path == "/block" { gate.wait() }
        TestServer.echo(exchange)
      })
      let first = try server.client()
      try first.send("GET /block HTTP/1.1\r\nHost: a\r\n\r\n")
      guard eventually({ server.server.statistics.accepted == 1 }) else { exit(2) }
      let clients = try (0..<10).map { _ in try server.client() }
      for client in clients { try client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n") }
      let free = dup(0)
      close(free)
      var limit = rlimit()
      getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
      let usual = limit.rlim_cur
      limit.rlim_cur = rlim_t(free)
      guard setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { exit(3) }
      gate.signal()
      guard try first.response().status == 200 else { exit(4) }
      for client in clients { guard try client.response().status == 503 else { exit(5) } }
      guard try first.get("/").status == 200 else { exit(6) }
      limit.rlim_cur = usual
      guard setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { exit(7) }
      guard try server.client().get("/").status == 200 else { exit(8) }
      exit(server.server.statistics.refused == 10 ? 0 : 9)
    }
  }

  /// As a service manager has it, which keeps the socket for the next process.
  @Test func aListenerThatOthersHoldIsNotWatchedInADrain() async {
    await #expect(processExitsWith: .success) {
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      guard listen(descriptor, 5) == 0 else { exit(2) }
      let kept = dup(descriptor)
      let held = Guarded<HTTPExchange?>(nil)
      let server = try TestServer(
        .descriptor(descriptor),
        handler: { exchange in
          if exchange.request.head.path == "/wait" { return held.withLock { $0 = exchange } }
          TestServer.echo(exchange)
        })
      let (waiting, idle) = (try server.client(), try server.client())
      guard try idle.get("/").status == 200 else { exit(3) }
      try waiting.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
      guard eventually({ held.withLock { $0 != nil } }) else { exit(4) }
      server.server.drain(seconds: 1000)
      guard try idle.receive().isEmpty else { exit(5) }
      // It waits in the kernel's queue for whoever accepts next.
      let next = try server.client()
      let before = clock()
      sleep(1)
      // A loop that spins takes all of the second, or what a loaded machine leaves of it.
      guard clock() - before < Int(CLOCKS_PER_SEC) / 10 else { exit(6) }
      held.withLock { $0.map(TestServer.echo) }
      guard try waiting.response().status == 200, next.isUnanswered else { exit(7) }
      waiting.disconnect()
      guard server.hasEnded() else { exit(8) }
      let successor = try TestServer(.descriptor(kept))
      exit(try next.get("/next").text == "GET /next 0 " && successor.port == server.port ? 0 : 9)
    }
  }

  @Test func nothingIsLeftOpen() async {
    await #expect(processExitsWith: .success) {
      func serve() throws -> Bool {
        let path = "\(TemporaryFolder.make())/socket"
        let server = try TestServer(.unix(path: path), limits: ServerLimitTests.limits { $0.connections = 20 })
        let clients = try (0..<30).map { _ in try HTTPTestClient(path: path) }
        for (index, client) in clients.enumerated() {
          try client.send(
            index % 3 == 0 ? "GET / HTTP/1.1\r\nHost: a\r\n\r\n" : index % 3 == 1 ? "nonsense\r\n" : "GET")
          if index % 3 != 2 { _ = try client.response() }
        }
        server.server.stop()
        return server.hasEnded()
      }
      // The first round opens what lives as long as the process.
      guard try serve() else { exit(2) }
      let before = Files.list("/proc/self/fd").count
      for _ in 0..<20 { guard try serve() else { exit(3) } }
      // Threads that end and Dispatch's own timers make the number unsteady, but not by one for each round.
      exit(eventually { Files.list("/proc/self/fd").count <= before + 10 } ? 0 : 4)
    }
  }
}
