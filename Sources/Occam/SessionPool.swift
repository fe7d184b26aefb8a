import Dispatch
import OccamCore

/// A few sessions of one model for many conversations. A job gets the session that remembers most of what its
/// conversation begins with, and waits in a queue while all are busy.
public final class SessionPool: Sendable {
  /// What can happen to a job that was handed in.
  public enum Admission: Sendable {
    case accepted(Job)
    /// All sessions are busy and the queue is full.
    case full
    /// The job needs more memory than all jobs together may have.
    case tooLarge
    /// The pool is closed.
    case closed
  }

  /// A job in the queue or at work.
  public final class Job: Sendable {
    fileprivate let fingerprints: [Int]
    fileprivate let bytes: Int
    fileprivate let run: @Sendable (Session) -> Void

    fileprivate init(_ fingerprints: [Int], _ bytes: Int, _ run: @escaping @Sendable (Session) -> Void) {
      self.fingerprints = fingerprints
      self.bytes = bytes
      self.run = run
    }
  }

  public struct Counts: Sendable {
    public var sessions = 0
    public var busy = 0
    public var queued = 0
    /// Planned for the jobs at work, and held by the sessions that are idle.
    public var memoryBytes = 0
  }

  private struct Slot {
    let session: Session
    let queue: DispatchQueue
    var isBusy = false
    /// Of the messages of its last conversation.
    var fingerprints: [Int] = []
    var lastUse = 0
    /// While busy what its job was planned with, then what it keeps.
    var bytes = 0
  }

  private struct State {
    var slots: [Slot]
    var waiting: [Job] = []
    var uses = 0
    var isClosed = false
  }

  private let state: Monitor<State>
  public let queueLimit: Int
  /// Bytes that all sessions together may hold.
  public let memoryLimit: Int

  /// - Parameters:
  ///   - count: sessions, 1 or more; what their images share is `options.imageCache`.
  ///   - queueLimit: jobs that may wait.
  ///   - memoryLimit: bytes that all sessions together may hold, by the jobs' plans: a job waits while it does not fit, and
  ///     idle sessions forget their conversations for it. Weights and `options.imageCache` are not in it.
  public init(
    model: VisionLanguageModel, count: Int, options: SessionOptions = SessionOptions(), queueLimit: Int,
    memoryLimit: Int = .max
  ) throws(OccamError) {
    guard count >= 1 else { throw OccamError(.invalidOption, "sessions", "\(count) is not positive") }
    var slots: [Slot] = []
    for index in 0..<count {
      let queue = DispatchQueue(label: "occam.pool.\(index)", qos: .userInitiated)
      slots.append(Slot(session: try model.makeSession(options), queue: queue))
    }
    state = Monitor(State(slots: slots))
    self.queueLimit = max(queueLimit, 0)
    self.memoryLimit = memoryLimit
  }

  public var counts: Counts {
    state.withLock { state in
      Counts(
        sessions: state.slots.count, busy: state.slots.count { $0.isBusy }, queued: state.waiting.count,
        memoryBytes: state.slots.reduce(0) { $0 + $1.bytes })
    }
  }

  /// Which sessions are busy, in their order.
  public var areBusy: [Bool] { state.withLock { $0.slots.map(\.isBusy) } }

  /// - Parameters:
  ///   - messages: of the conversation, for choosing a session; empty for a raw prompt.
  ///   - bytes: what it may take at most (`VisionLanguageModel.cost`).
  ///   - run: called with a session on a thread of the pool's; it may block. The session is the job's until it returns.
  public func submit(
    _ messages: [Message], bytes: Int = 0, run: @escaping @Sendable (Session) -> Void
  ) -> Admission {
    guard bytes <= memoryLimit else { return .tooLarge }
    let job = Job(messages.fingerprints, bytes, run)
    return state.withLock { state in
      guard !state.isClosed else { return .closed }
      // Nobody overtakes those who wait.
      if !state.waiting.isEmpty || !start(job, &state) {
        guard state.waiting.count < queueLimit else { return .full }
        state.waiting.append(job)
      }
      return .accepted(job)
    }
  }

  /// Takes a job out of the queue. - Returns: false if it is at work already, or done.
  @discardableResult
  public func withdraw(_ job: Job) -> Bool {
    state.withLock { state in
      guard let index = state.waiting.firstIndex(where: { $0 === job }) else { return false }
      state.waiting.remove(at: index)
      // Those behind it may fit where it did not.
      startWaiting(&state)
      return true
    }
  }

  /// Takes no more jobs, and waits until those there are have ended.
  /// - Parameter seconds: how long at most. - Returns: whether all have.
  @discardableResult
  public func close(within seconds: Double) -> Bool {
    state.withLock { $0.isClosed = true }
    let deadline = Clock.after(Clock.nanoseconds(), seconds: seconds)
    return state.wait(until: { !$0.slots.contains { $0.isBusy } && $0.waiting.isEmpty }, deadline: deadline) { state in
      !state.slots.contains { $0.isBusy } && state.waiting.isEmpty
    }
  }

  // MARK: Choice

  /// The idle session that shares the longest beginning with the job's conversation; of equals the one that was used
  /// longest ago, so that others' conversations last.
  private static func idleSlot(_ state: State, _ job: Job) -> Int? {
    let idle = state.slots.indices.filter { !state.slots[$0].isBusy }
    return idle.max { left, right in
      let (one, other) = (state.slots[left], state.slots[right])
      let (shared, otherShared) = (common(one, job), common(other, job))
      return shared != otherShared ? shared < otherShared : one.lastUse > other.lastUse
    }
  }

  private static func common(_ slot: Slot, _ job: Job) -> Int {
    zip(slot.fingerprints, job.fingerprints).prefix { $0 == $1 }.count
  }

  /// - Returns: false while no session is idle, or memory is short.
  private func start(_ job: Job, _ state: inout State) -> Bool {
    guard let index = SessionPool.idleSlot(state, job), makeRoom(job.bytes, for: index, &state) else { return false }
    state.uses += 1
    state.slots[index].bytes = max(job.bytes, 0)
    state.slots[index].isBusy = true
    state.slots[index].fingerprints = job.fingerprints
    state.slots[index].lastUse = state.uses
    let session = state.slots[index].session
    state.slots[index].queue.async {
      job.run(session)
      self.finish(index, keeping: session.memoryBytes)
    }
    return true
  }

  /// Idle sessions forget their conversations, the one used longest ago first, until `bytes` more fit.
  /// - Parameter chosen: the session that is to have them; what it holds is in them.
  private func makeRoom(_ bytes: Int, for chosen: Int, _ state: inout State) -> Bool {
    func held(_ state: State) -> Int {
      state.slots.indices.reduce(0) { $0 + ($1 == chosen ? 0 : state.slots[$1].bytes) }
    }
    let busy = state.slots.reduce(0) { $0 + ($1.isBusy ? $1.bytes : 0) }
    guard bytes <= memoryLimit - busy else { return false }
    while held(state) > memoryLimit - bytes {
      let idle = state.slots.indices.filter { $0 != chosen && !state.slots[$0].isBusy && state.slots[$0].bytes > 0 }
      guard let oldest = idle.min(by: { state.slots[$0].lastUse < state.slots[$1].lastUse }) else { return false }
      state.slots[oldest].session.forget()
      state.slots[oldest].bytes = 0
      state.slots[oldest].fingerprints = []
    }
    return true
  }

  private func finish(_ index: Int, keeping bytes: Int) {
    state.withLock { state in
      state.slots[index].isBusy = false
      state.slots[index].bytes = bytes
      startWaiting(&state)
    }
    state.broadcast()
  }

  private func startWaiting(_ state: inout State) {
    while let job = state.waiting.first, start(job, &state) { state.waiting.removeFirst() }
  }
}

extension [Message] {
  /// One number a message, that of the conversation up to there.
  fileprivate var fingerprints: [Int] {
    var hasher = Hasher()
    return map { message in
      hasher.combine(message.role)
      for part in message.content {
        switch part {
        case .text(let text): hasher.combine(text)
        case .image(.file(let path)): hasher.combine(path)
        case .image(.bytes(let bytes, _)): bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
        }
      }
      for call in message.toolCalls { hasher.combine(call.arguments) }
      let snapshot = hasher
      return snapshot.finalize()
    }
  }
}
