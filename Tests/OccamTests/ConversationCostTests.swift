import Dispatch
import Occam
import OccamCore
import OccamTestSupport
import Testing

/// Plans of memory hold, and a pool goes by them.
@Suite(.serialized) struct ConversationCostTests {
  @Test(arguments: ["g1", "gemma3-a", "qwen2vl-a", "qwen35-a", "smolvlm-a", "gemma4-a"]) func theSessionStaysBelowIt(
    family: String
  ) throws {
    let model = try TestModel.family(family)
    let messages: [Message] = [.user("What is this?", images: [TestModel.cat]), .assistant("A cat."), .user("Sure?")]
    for pruning in [true, false] {
      var options = GenerationOptions.greedy(20)
      options.ignoresEndOfText = true
      options.pruning.enabled = pruning
      let cost = try model.cost(of: messages, options: options)
      let session = try model.makeSession()
      let metrics = try session.respond(to: messages, options: options)
      #expect(cost.promptTokens == metrics.promptTokens)
      let planned = cost.bytes(replyTokens: 20)
      #expect(metrics.kvBytes + session.peakActivationBytes <= planned)
      #expect(session.memoryBytes <= planned)
      #expect(cost.bytes(replyTokens: nil) >= planned)
      let fitting = cost.replyTokens(within: planned)
      #expect(fitting >= 20 && cost.bytes(replyTokens: fitting) <= planned)
      #expect(cost.replyTokens(within: 0) == 0)
    }
  }

  @Test func aPoolHoldsItsLimit() throws {
    let model = try TestModel.pair()
    let pool = try SessionPool(model: model, count: 3, queueLimit: 8, memoryLimit: 1000)
    let gate = DispatchSemaphore(value: 0)
    let ran = Guarded<[Int]>([])
    func submit(_ number: Int, _ bytes: Int) -> SessionPool.Admission {
      pool.submit([], bytes: bytes) { _ in
        gate.wait()
        ran.withLock { $0.append(number) }
      }
    }
    guard case .tooLarge = submit(0, 1001) else {
      Issue.record("a job that never fits is taken")
      return
    }
    guard case .accepted = submit(1, 600), case .accepted(let second) = submit(2, 500), case .accepted = submit(3, 100)
    else {
      Issue.record("a job that can wait is refused")
      return
    }
    #expect(pool.counts.busy == 1, "the second does not fit, and the third does not overtake it")
    #expect(pool.counts.memoryBytes == 600)
    #expect(pool.withdraw(second))
    #expect(pool.counts.busy == 2 && pool.counts.queued == 0, "behind a job withdrawn comes the next")
    for _ in 0..<2 { gate.signal() }
    #expect(pool.close(within: 120))
    #expect(Set(ran.withLock { $0 }) == [1, 3])
  }

  @Test func idleSessionsForgetForOthers() throws {
    let model = try TestModel.pair()
    @Sendable func messages(_ text: String) -> [Message] { [.user(text)] }
    let cost = try model.cost(of: messages("x"), options: .greedy(2)).bytes(replyTokens: 2)
    let held = Guarded<[Session]>([])
    // Room for two at a time.
    let pool = try SessionPool(model: model, count: 3, queueLimit: 8, memoryLimit: 2 * cost + cost / 2)
    for text in ["a", "b", "c"] {
      let done = DispatchSemaphore(value: 0)
      _ = pool.submit(messages(text), bytes: cost) { session in
        _ = try? session.respond(to: messages(text), options: .greedy(2))
        held.withLock { $0.append(session) }
        done.signal()
      }
      done.wait()
      while pool.counts.busy > 0 { _ = DispatchSemaphore(value: 0).wait(timeout: .now() + .milliseconds(1)) }
      #expect(pool.counts.memoryBytes <= pool.memoryLimit)
    }
    let sessions = held.withLock { $0 }
    #expect(sessions.count == 3)
    let total = sessions.reduce(0) { $0 + $1.memoryBytes }
    #expect(total <= pool.memoryLimit && pool.counts.memoryBytes == total)
  }
}
