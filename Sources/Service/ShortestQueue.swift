import Dispatch
import OccamCore

/// A few threads for work that comes one by one: each piece goes where the fewest wait, lest the quick ones stand behind
/// a long one.
final class ShortestQueue: Sendable {
  private let queues: [DispatchQueue]
  /// Pieces at work or waiting, of each queue.
  private let pending: Guarded<[Int]>

  /// - Parameter count: 1 or more.
  init(_ label: String, count: Int) {
    queues = (0..<count).map { DispatchQueue(label: "\(label).\($0)", qos: .userInitiated) }
    pending = Guarded([Int](repeating: 0, count: count))
  }

  func async(_ body: @escaping @Sendable () -> Void) {
    let index = pending.withLock { pending in
      let index = pending.indices.min { pending[$0] < pending[$1] } ?? 0
      pending[index] += 1
      return index
    }
    queues[index].async { [self] in
      body()
      pending.withLock { $0[index] -= 1 }
    }
  }
}
