import Dispatch
import Glibc
import Synchronization

/// The threads that compute. The caller drives a forward pass; helpers wait spinning for its next parallel step, so
/// that a pass of hundreds of steps wakes each helper once, and park when no step comes for a while.
///
/// Each helper is a serial dispatch queue with one endless block, i.e. a thread of its own: a spin barrier inside
/// `concurrentPerform` could deadlock, since simultaneous iterations are not promised there.
///
/// One pass at a time: `pass` queues callers from several sessions. Body closures run at the same time on all
/// threads and must write to disjoint memory.
package final class WorkerTeam: Sendable {
  package let threads: Int
  private let state: TeamState

  /// - Parameter threads: 1 or more, the calling thread included.
  package init(threads: Int) {
    self.threads = max(1, min(threads, 256))
    state = TeamState(helpers: self.threads - 1)
    for helper in 0..<(self.threads - 1) {
      let state = state
      DispatchQueue(label: "occam.worker.\(helper + 1)", qos: .userInitiated).async { state.work(helper) }
    }
  }

  deinit { state.stop() }

  /// Holds the team for one forward pass. Nested calls from the same thread run through.
  package func pass<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
    let nested = state.enter()
    defer { state.leave(nested) }
    return try body()
  }

  /// Runs `body` over 0..<count in blocks of `grain` indices, each block on whichever thread is free, and returns when
  /// all are done. `worker` is 0..<threads and fixed during one call of `body`: it may index scratch memory.
  package func parallel(_ count: Int, grain: Int = 1, _ body: (_ range: Range<Int>, _ worker: Int) -> Void) {
    guard count > 0 else { return }
    let grain = max(grain, 1)
    if threads == 1 || count <= grain {
      body(0..<count, 0)
      return
    }
    pass { () throws(Never) in
      withoutActuallyEscaping(body) { escaping in
        withUnsafePointer(to: escaping) { state.publish($0, count: count, grain: grain) }
      }
    }
  }
}

/// What caller and helpers share. A step is published by raising `generation`; helpers that parked are signalled.
private final class TeamState: @unchecked Sendable {
  typealias Body = (Range<Int>, Int) -> Void

  private let helpers: Int
  private let generation = Atomic<Int>(0)
  private let pending = Atomic<Int>(0)
  private let next = Atomic<Int>(0)
  private let stopping = Atomic<Bool>(false)
  private let owner = Atomic<UInt>(0)
  private let lock: UnsafeMutablePointer<pthread_mutex_t>
  private let parked: UnsafeMutablePointer<Atomic<Bool>>
  private let wake: [DispatchSemaphore]
  // Written by the caller before `generation` is raised, read by helpers after they saw it raised.
  nonisolated(unsafe) private var body: UnsafePointer<Body>?
  nonisolated(unsafe) private var count = 0
  nonisolated(unsafe) private var grain = 1

  /// Pauses before a helper parks: about 0.2 ms, longer than the serial gaps inside a pass.
  private static let spins = 8_192

  init(helpers: Int) {
    self.helpers = helpers
    wake = (0..<helpers).map { _ in DispatchSemaphore(value: 0) }
    parked = .allocate(capacity: max(helpers, 1))
    for helper in 0..<max(helpers, 1) { (parked + helper).initialize(to: Atomic(false)) }
    lock = .allocate(capacity: 1)
    lock.initialize(to: pthread_mutex_t())
    pthread_mutex_init(lock, nil)
  }

  deinit {
    pthread_mutex_destroy(lock)
    lock.deallocate()
    for helper in 0..<max(helpers, 1) { (parked + helper).deinitialize(count: 1) }
    parked.deallocate()
  }

  /// - Returns: whether this thread held the team already.
  func enter() -> Bool {
    let me = UInt(pthread_self())
    if owner.load(ordering: .relaxed) == me { return true }
    pthread_mutex_lock(lock)
    owner.store(me, ordering: .relaxed)
    return false
  }

  func leave(_ nested: Bool) {
    if nested { return }
    owner.store(0, ordering: .relaxed)
    pthread_mutex_unlock(lock)
  }

  func publish(_ body: UnsafePointer<Body>, count: Int, grain: Int) {
    self.body = body
    self.count = count
    self.grain = grain
    next.store(0, ordering: .relaxed)
    pending.store(helpers, ordering: .relaxed)
    // Sequentially consistent against `parked`: either the helper sees the new generation or we see it parked.
    generation.add(1, ordering: .sequentiallyConsistent)
    for helper in 0..<helpers where (parked + helper).pointee.exchange(false, ordering: .sequentiallyConsistent) {
      wake[helper].signal()
    }
    share(0)
    var spins = 0
    while pending.load(ordering: .acquiring) != 0 { TeamState.relax(&spins) }
    self.body = nil
  }

  func stop() {
    stopping.store(true, ordering: .sequentiallyConsistent)
    generation.add(1, ordering: .sequentiallyConsistent)
    for semaphore in wake { semaphore.signal() }
  }

  func work(_ helper: Int) {
    var seen = 0
    while true {
      seen = awaitStep(after: seen, helper)
      if stopping.load(ordering: .sequentiallyConsistent) { return }
      share(helper + 1)
      pending.subtract(1, ordering: .releasing)
    }
  }

  private func awaitStep(after seen: Int, _ helper: Int) -> Int {
    var spins = 0
    while true {
      let current = generation.load(ordering: .acquiring)
      if current != seen { return current }
      if spins < TeamState.spins {
        TeamState.relax(&spins)
        continue
      }
      (parked + helper).pointee.store(true, ordering: .sequentiallyConsistent)
      if generation.load(ordering: .sequentiallyConsistent) == seen
        || !(parked + helper).pointee.exchange(false, ordering: .sequentiallyConsistent)
      {
        wake[helper].wait()
      }
      spins = 0
    }
  }

  private func share(_ worker: Int) {
    guard let body = body?.pointee else { return }
    while true {
      let start = next.add(grain, ordering: .relaxed).oldValue
      if start >= count { return }
      body(start..<min(start + grain, count), worker)
    }
  }

  /// One short pause; now and then the processor is offered to others, for hosts with fewer cores than threads.
  @inline(__always)
  private static func relax(_ spins: inout Int) {
    spins += 1
    if spins & 1023 == 0 { sched_yield() } else { pause() }
  }

  @inline(__always)
  private static func pause() {
    spinLoopHint()
  }
}

#if arch(x86_64)
  @_extern(c, "llvm.x86.sse2.pause")
  private func spinLoopHint()
#else
  @_extern(c, "llvm.aarch64.hint")
  private func hint(_ kind: Int32)
  @inline(__always) private func spinLoopHint() { hint(1) }
#endif
