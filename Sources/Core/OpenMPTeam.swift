#if OCCAM_OPENMP
  import Synchronization

  typealias TeamBackEnd = OpenMPTeam

  /// The team on an OpenMP runtime, for hosts that run one anyway: its threads, its waiting (KMP_BLOCKTIME,
  /// OMP_WAIT_POLICY), its placement (OMP_PROC_BIND). Built with the package trait OpenMP.
  ///
  /// Steps are handed out as in the default team, so that results are the same. An OpenMP runtime keeps threads for each
  /// thread that starts a region: sessions on several threads have several sets, of which one computes at a time.
  final class OpenMPTeam: Sendable {
    private let threads: UInt32
    private let next = Atomic<Int>(0)

    init(threads: Int) { self.threads = UInt32(threads) }

    /// Returns when all threads are done with the task. One call at a time.
    func run(_ task: TeamTask) {
      next.store(0, ordering: .relaxed)
      var region = Region(team: Unmanaged.passUnretained(self), task: task)
      parallelRegion(
        { region in
          guard let region = region?.assumingMemoryBound(to: Region.self) else { return }
          region.pointee.team._withUnsafeGuaranteedRef { $0.share(region.pointee.task, worker: Int(threadNumber())) }
        }, &region, threads, 0)
    }

    /// The runtime's threads stay its own.
    func stop() {}

    private func share(_ task: TeamTask, worker: Int) {
      while true {
        let start = next.add(task.grain, ordering: .relaxed).oldValue
        if start >= task.count { return }
        task.run(start..<min(start + task.grain, task.count), worker: worker)
      }
    }
  }

  private struct Region {
    let team: Unmanaged<OpenMPTeam>
    let task: TeamTask
  }

  /// What compilers make of `#pragma omp parallel num_threads(threads)`: libgomp's entry, which libomp offers too. The
  /// runtime may use fewer threads than asked for.
  @_extern(c, "GOMP_parallel")
  private func parallelRegion(
    _ body: @convention(c) (UnsafeMutableRawPointer?) -> Void, _ data: UnsafeMutableRawPointer?, _ threads: UInt32,
    _ flags: UInt32)

  /// 0..<threads, inside a region.
  @_extern(c, "omp_get_thread_num")
  private func threadNumber() -> Int32
#endif
