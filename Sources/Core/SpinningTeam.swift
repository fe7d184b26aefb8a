#if !OCCAM_OPENMP
  import Dispatch
  import Glibc
  import Synchronization

  typealias TeamBackEnd = SpinningTeam

  /// The default team. The caller drives a forward pass; helpers wait spinning for its next step and park when none
  /// comes for a while. A step is published by raising `generation`; helpers that parked are signalled.
  ///
  /// Each helper is a serial dispatch queue with one endless block, i.e. a thread of its own: a spin barrier inside
  /// `concurrentPerform` could deadlock, since simultaneous iterations are not promised there.
  final class SpinningTeam: Sendable {
    private let state: TeamState

    init(threads: Int) {
      state = TeamState(helpers: threads - 1)
      for helper in 0..<(threads - 1) {
        let state = state
        DispatchQueue(label: "occam.worker.\(helper + 1)", qos: .userInitiated).async { state.work(helper) }
      }
    }

    /// Returns when all threads are done with the task. One call at a time.
    func run(_ task: TeamTask) { state.publish(task) }

    /// Ends the helpers' threads.
    func stop() { state.stop() }
  }

  /// What caller and helpers share; helpers keep it alive.
  private final class TeamState: @unchecked Sendable {
    private let helpers: Int
    private let generation = Atomic<Int>(0)
    private let pending = Atomic<Int>(0)
    private let next = Atomic<Int>(0)
    private let stopping = Atomic<Bool>(false)
    private let parked: UnsafeMutablePointer<Atomic<Bool>>
    private let wake: [DispatchSemaphore]
    // Written by the caller before `generation` is raised, read by helpers after they saw it raised.
    nonisolated(unsafe) private var task: TeamTask?

    /// Pauses before a helper parks: about 0.2 ms, longer than the serial gaps inside a pass.
    private static let spins = 8_192

    init(helpers: Int) {
      self.helpers = helpers
      wake = (0..<helpers).map { _ in DispatchSemaphore(value: 0) }
      parked = .allocate(capacity: max(helpers, 1))
      for helper in 0..<max(helpers, 1) { (parked + helper).initialize(to: Atomic(false)) }
    }

    deinit {
      for helper in 0..<max(helpers, 1) { (parked + helper).deinitialize(count: 1) }
      parked.deallocate()
    }

    func publish(_ task: TeamTask) {
      self.task = task
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
      self.task = nil
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
      guard let task else { return }
      while true {
        let start = next.add(task.grain, ordering: .relaxed).oldValue
        if start >= task.count { return }
        task.run(start..<min(start + task.grain, task.count), worker: worker)
      }
    }

    /// One short pause; now and then the processor is offered to others, for hosts with fewer cores than threads.
    @inline(__always)
    private static func relax(_ spins: inout Int) {
      spins += 1
      if spins & 1023 == 0 { sched_yield() } else { spinLoopHint() }
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
#endif
