/// A parallel step as a value: what `WorkerTeam` runs without allocating anything.
///
/// A closure would have to escape to reach other threads, which costs a heap box a step; a step stays where the caller
/// has it, and the threads are handed its address and its type.
package protocol TeamStep: ~Copyable {
  /// Computes the indices `range`. Runs at the same time on all threads; calls write to disjoint memory.
  /// - Parameter worker: 0..<threads and fixed during one call: it may index scratch memory.
  func run(_ range: Range<Int>, worker: Int)
}

/// The threads that compute, the calling thread among them. They wait spinning inside a forward pass, so that a pass of
/// hundreds of steps wakes each once, and cost nothing when idle: see `TeamBackEnd` for how.
///
/// One pass at a time: `pass` queues callers from several sessions.
package final class WorkerTeam: Sendable {
  package let threads: Int
  private let turn = TeamTurn()
  private let backEnd: TeamBackEnd

  /// - Parameter threads: 1 or more, the calling thread included.
  package init(threads: Int) {
    self.threads = max(1, min(threads, 256))
    backEnd = TeamBackEnd(threads: self.threads)
  }

  deinit { backEnd.stop() }

  /// Holds the team for one forward pass. Nested calls from the same thread run through.
  /// - Parameter isShort: comes before passes that are not, which give way to it.
  package func pass<R, E: Error>(isShort: Bool = false, _ body: () throws(E) -> R) throws(E) -> R {
    let nested = turn.enter(isShort ? .short : .long)
    defer { turn.leave(nested) }
    return try body()
  }

  /// Between two steps of a pass that is not short: lets short ones through that have waited for `patience`.
  package func giveWay() { turn.giveWay() }

  /// How long a pass keeps short ones waiting, in nanoseconds, before it gives way.
  package func setPatience(_ nanoseconds: UInt64) { turn.setPatience(nanoseconds) }

  /// Runs `step` over 0..<count in blocks of `grain` indices, each block on whichever thread is free, and returns when
  /// all are done. Allocates nothing.
  package func parallel<Step: TeamStep & ~Copyable>(_ count: Int, grain: Int = 1, _ step: borrowing Step) {
    guard count > 0 else { return }
    let grain = max(grain, 1)
    if threads == 1 || count <= grain {
      step.run(0..<count, worker: 0)
      return
    }
    pass { () throws(Never) in
      withUnsafePointer(to: step) {
        backEnd.run(TeamTask(step: UnsafeRawPointer($0), type: Step.self, count: count, grain: grain))
      }
    }
  }

  /// The same for a closure, for work outside forward passes: allocates a box for it.
  package func parallel(_ count: Int, grain: Int = 1, _ body: (_ range: Range<Int>, _ worker: Int) -> Void) {
    withoutActuallyEscaping(body) { parallel(count, grain: grain, ClosureStep(body: $0)) }
  }
}

private struct ClosureStep: TeamStep {
  let body: (Range<Int>, Int) -> Void
  func run(_ range: Range<Int>, worker: Int) { body(range, worker) }
}

/// A step on its way to the threads. Whoever makes it keeps `step` alive until all are done.
struct TeamTask {
  let step: UnsafeRawPointer
  let type: any (TeamStep & ~Copyable).Type
  let count: Int
  let grain: Int

  func run(_ range: Range<Int>, worker: Int) { type.run(at: step, range, worker) }
}

// Without the promise that steps can be copied, threads cannot but use the caller's: a copy a block would count references
// up and down on cache lines that all threads share.
extension TeamStep where Self: ~Copyable {
  fileprivate static func run(at step: UnsafeRawPointer, _ range: Range<Int>, _ worker: Int) {
    step.assumingMemoryBound(to: Self.self).pointee.run(range, worker: worker)
  }
}
