import Glibc
import OccamCommandLine
import OccamCore
import Synchronization
import Testing

@Suite(.serialized) struct ToolTests {
  @Test func errorsBecomeOneLineAndAnExitCode() {
    func report(_ error: any Error) -> (ExitCode, String) {
      var text = ""
      let code = Tool.report(error, name: "demo") { text += $0 }
      return (code, text)
    }
    #expect(report(UsageError.missingFlag("--model")) == (.usage, "demo: --model is required\nTry 'demo --help'.\n"))
    #expect(report(Interrupted()) == (.interrupted, "demo: interrupted\n"))
    #expect(report(CancellationError()) == (.interrupted, "demo: interrupted\n"))
    let missing = FileError(.open, "x.gguf", errno: ENOENT)
    #expect(report(missing) == (.failure, "demo: cannot open 'x.gguf': No such file or directory\n"))
    #expect([ExitCode.success, .failure, .usage, .interrupted].map(\.rawValue) == [0, 1, 2, 130])
  }

  @Test func theFirstInterruptRaisesTheFlagOnly() {
    // The tests' own threads block signals.
    var mask = sigset_t()
    sigemptyset(&mask)
    sigaddset(&mask, SIGINT)
    pthread_sigmask(SIG_UNBLOCK, &mask, nil)
    defer { pthread_sigmask(SIG_BLOCK, &mask, nil) }
    Interrupt.install()
    #expect(!Interrupt.isRequested)
    raise(SIGINT)
    #expect(Interrupt.isRequested)
    // The handler has gone, so that a second one would end the process; arming again brings it back.
    var action = sigaction()
    sigaction(SIGINT, nil, &action)
    #expect(action.__sigaction_handler.sa_handler == nil)
    Interrupt.install()
    #expect(!Interrupt.isRequested)
    raise(SIGINT)
    #expect(Interrupt.isRequested)
    signal(SIGINT, SIG_DFL)
  }

  @Test func aClosedPipeIsAnErrorNotASignal() throws {
    Interrupt.ignoreBrokenPipes()
    var ends: [Int32] = [0, 0]
    #expect(pipe(&ends) == 0)
    close(ends[0])
    #expect(write(ends[1], "x", 1) == -1 && errno == EPIPE)
    close(ends[1])
  }

  // MARK: Progress

  final class Recorder: Sendable {
    let text = Guarded("")
    let time = Atomic<UInt64>(0)
    func reporter(terminal: Bool, width: Int = 40) -> ProgressReporter {
      ProgressReporter(
        terminal: terminal, width: width, write: { piece in self.text.withLock { $0 += piece } },
        now: { self.time.load(ordering: .relaxed) })
    }
    func advance(_ milliseconds: UInt64) { time.add(milliseconds * 1_000_000, ordering: .relaxed) }
    func take() -> String {
      text.withLock { text in
        defer { text = "" }
        return text
      }
    }
  }

  @Test func aTerminalSeesABar() {
    let recorder = Recorder()
    let progress = recorder.reporter(terminal: true)
    progress.update("load", 0, of: 8)
    #expect(recorder.take() == "\r\u{1B}[Kload [---------------------------]   0%")
    recorder.advance(50)
    progress.update("load", 2, of: 8)
    #expect(recorder.take() == "")
    recorder.advance(50)
    progress.update("load", 4, of: 8)
    #expect(recorder.take() == "\r\u{1B}[Kload [#############--------------]  50%")
    progress.update("load", 8, of: 8)
    #expect(recorder.take() == "\r\u{1B}[Kload [###########################] 100%")
    progress.update("prefill", 1, of: 4)
    #expect(recorder.take() == "\r\u{1B}[K\r\u{1B}[Kprefill [######------------------]  25%")
    progress.finish()
    #expect(recorder.take() == "\r\u{1B}[K")
    progress.finish()
    #expect(recorder.take() == "")
  }

  @Test func barsFitTheirTerminal() {
    for width in [0, 20, 30, 80, 300] {
      let recorder = Recorder()
      recorder.reporter(terminal: true, width: width).update("a long name of a step", 9, of: 10)
      #expect(recorder.take().count - 4 < max(width, 20))
    }
  }

  @Test func otherwisePlainLinesNowAndThen() {
    let recorder = Recorder()
    let progress = recorder.reporter(terminal: false)
    progress.update("encode", 0, of: 24)
    #expect(recorder.take() == "")
    recorder.advance(4_999)
    progress.update("encode", 12, of: 24)
    #expect(recorder.take() == "")
    recorder.advance(1)
    progress.update("encode", 18, of: 24)
    #expect(recorder.take() == "encode: 75%\n")
    recorder.advance(250)
    progress.finish()
    #expect(recorder.take() == "encode: 5.25 s\n")
  }

  @Test func oddCountsDoNoHarm() {
    let recorder = Recorder()
    let progress = recorder.reporter(terminal: true)
    for (done, total) in [(5, 0), (-3, 4), (9, 4), (Int.max, Int.max), (Int.min, -1)] {
      progress.update("step \(done)", done, of: total)
    }
    #expect(recorder.take().contains("100%"))
  }
}

@Suite struct TableTests {
  static var table: Table {
    var table = Table([.init("test", .left), .init("t/s", key: "tokens_per_s"), .init("n"), .init("x")])
    table.add([.text("pp 512"), .spread(12.345, 0.5, digits: 2), .integer(3), .number(1.5, digits: 1)])
    table.add([.text("a|b,\"c\"\nd"), .missing, .integer(-1), .missing])
    return table
  }

  @Test func markdown() {
    #expect(
      TableTests.table.text(.md) == """
        | test       |          t/s |   n |   x |
        | ---------- | -----------: | --: | --: |
        | pp 512     | 12.35 ± 0.50 |   3 | 1.5 |
        | a\\|b,"c" d |            - |  -1 |   - |

        """)
  }

  @Test func csv() {
    #expect(
      TableTests.table.text(.csv) == """
        test,tokens_per_s,tokens_per_s_stddev,n,x
        pp 512,12.35,0.50,3,1.5
        "a|b,""c""
        d",,,-1,

        """)
  }

  @Test func joinedTablesShareColumnsOfOneKey() {
    var photo = Table([.init("measure", key: "test", .left), .init("gain")])
    photo.add([.text("ttft"), .number(2, digits: 1)])
    #expect(
      TableTests.table.joined(with: photo).text(.csv) == """
        test,tokens_per_s,tokens_per_s_stddev,n,x,gain
        pp 512,12.35,0.50,3,1.5,
        "a|b,""c""
        d",,,-1,,
        ttft,,,,,2.0

        """)
  }

  @Test func json() throws {
    let value = try JSONValue(parsing: TableTests.table.text(.json))
    #expect(
      value == [
        ["test": "pp 512", "tokens_per_s": 12.345, "tokens_per_s_stddev": 0.5, "n": 3, "x": 1.5],
        ["test": "a|b,\"c\"\nd", "tokens_per_s": nil, "n": -1, "x": nil],
      ])
  }
}
