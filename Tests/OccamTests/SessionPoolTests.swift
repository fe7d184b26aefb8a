import Dispatch
import Occam
import OccamCore
import OccamTestSupport
import Testing

@Suite(.serialized) struct SessionPoolTests {
  private static let patience: Double = 120

  /// Runs a job to its end. - Returns: the session that it got.
  private static func run(_ pool: SessionPool, _ messages: [Message]) throws -> Session {
    let done = DispatchSemaphore(value: 0)
    let found = Guarded<Session?>(nil)
    guard
      case .accepted = pool.submit(
        messages,
        run: { session in
          _ = try? session.respond(to: messages, options: .greedy(2))
          found.withLock { $0 = session }
          done.signal()
        })
    else { throw OccamError(.invalidOption, "pool", "took no job") }
    done.wait()
    // The session is given back behind the job's end.
    while pool.counts.busy > 0 { usleepOnce() }
    return try #require(found.withLock { $0 })
  }

  private static func usleepOnce() { _ = DispatchSemaphore(value: 0).wait(timeout: .now() + .milliseconds(1)) }

  @Test func aConversationComesBackToItsSession() throws {
    let pool = try SessionPool(model: try TestModel.pair(), count: 3, queueLimit: 4)
    let cats: [Message] = [.user("Where is the cat?")]
    let dogs: [Message] = [.user("Where is the dog?")]
    let one = try SessionPoolTests.run(pool, cats)
    let other = try SessionPoolTests.run(pool, dogs)
    #expect(one !== other, "what a session remembers is not given away while another is fresh")
    let third = try SessionPoolTests.run(pool, cats + [.assistant("There."), .user("Sure?")])
    #expect(third === one)
    let fourth = try SessionPoolTests.run(pool, dogs + [.assistant("Here."), .user("Sure?")])
    #expect(fourth === other)
  }

  @Test func queuesWithdrawsAndCloses() throws {
    let pool = try SessionPool(model: try TestModel.pair(), count: 1, queueLimit: 2)
    let gate = DispatchSemaphore(value: 0)
    let ran = Guarded<[Int]>([])
    func submit(_ number: Int) -> SessionPool.Admission {
      pool.submit([]) { _ in
        gate.wait()
        ran.withLock { $0.append(number) }
      }
    }
    guard case .accepted(let first) = submit(1), case .accepted(let second) = submit(2), case .accepted = submit(3)
    else {
      Issue.record("a job was refused too early")
      return
    }
    guard case .full = submit(4) else {
      Issue.record("the queue's limit does not hold")
      return
    }
    #expect(pool.counts.queued == 2 && pool.areBusy == [true])
    #expect(pool.withdraw(second) && !pool.withdraw(second) && !pool.withdraw(first))
    guard case .accepted = submit(5) else {
      Issue.record("a place that was given back is not used")
      return
    }
    #expect(!pool.close(within: 0), "jobs are at work")
    guard case .closed = submit(6) else {
      Issue.record("a closed pool takes jobs")
      return
    }
    for _ in 0..<3 { gate.signal() }
    #expect(pool.close(within: SessionPoolTests.patience))
    #expect(ran.withLock { $0 } == [1, 3, 5])
  }
}
