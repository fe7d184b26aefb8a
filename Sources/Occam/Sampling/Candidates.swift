/// A token that may be drawn.
struct Candidate: Equatable {
  var logit: Float
  var id: Int32

  /// Likelier first; of equals the lower id.
  @inline(__always)
  func precedes(_ other: Candidate) -> Bool { logit != other.logit ? logit > other.logit : id < other.id }
}

/// The `count` largest of `logits`, likelier first: one pass with a heap that few values enter.
/// - Parameter logits: without NaN.
func largest(_ count: Int, of logits: [Float]) -> [Candidate] {
  let count = min(count, logits.count)
  guard count > 0 else { return [] }
  // The root of the heap is the worst candidate kept.
  var heap = (0..<count).map { Candidate(logit: logits[$0], id: Int32($0)) }
  for root in stride(from: count / 2 - 1, through: 0, by: -1) { siftDown(&heap, root) }
  var worst = heap[0].logit
  for id in count..<logits.count where logits[id] > worst {
    heap[0] = Candidate(logit: logits[id], id: Int32(id))
    siftDown(&heap, 0)
    worst = heap[0].logit
  }
  heap.sort { $0.precedes($1) }
  return heap
}

private func siftDown(_ heap: inout [Candidate], _ start: Int) {
  var root = start
  while true {
    var child = 2 * root + 1
    guard child < heap.count else { return }
    if child + 1 < heap.count, heap[child].precedes(heap[child + 1]) { child += 1 }
    guard heap[root].precedes(heap[child]) else { return }
    heap.swapAt(root, child)
    root = child
  }
}
