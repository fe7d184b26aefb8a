import Dispatch

/// Runs tasks on a queue of its own: the shared threads of tasks may all be busy with tests that compute, for longer than
/// what is to be observed lasts.
///
///     try await OwnQueue.run { queue in ... }
package final class OwnQueue: TaskExecutor {
  private let queue = DispatchQueue(label: "OwnQueue")

  package func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }

  /// - Parameter body: is given the queue, for tasks that it begins itself.
  package static func run<Result: Sendable>(
    _ body: @escaping @Sendable (OwnQueue) async throws -> Result
  ) async throws -> Result {
    let queue = OwnQueue()
    return try await Task(executorPreference: queue) { try await body(queue) }.value
  }
}
