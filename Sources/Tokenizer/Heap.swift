protocol HeapOrdered {
  func precedes(_ other: Self) -> Bool
}

/// A heap of four children a node; the element that precedes all others is popped first.
struct Heap<Element: HeapOrdered> {
  private var elements: [Element] = []

  var isEmpty: Bool { elements.isEmpty }

  mutating func push(_ element: Element) {
    elements.append(element)
    elements.withUnsafeMutableBufferPointer { elements in
      var hole = elements.count - 1
      while hole > 0 {
        let parent = (hole - 1) / 4
        guard element.precedes(elements[parent]) else { break }
        elements[hole] = elements[parent]
        hole = parent
      }
      elements[hole] = element
    }
  }

  mutating func pop() -> Element? {
    guard let first = elements.first else { return nil }
    let last = elements.removeLast()
    elements.withUnsafeMutableBufferPointer { elements in
      if elements.isEmpty { return }
      var hole = 0
      while true {
        var child = hole * 4 + 1
        guard child < elements.count else { break }
        for other in child + 1..<max(min(hole * 4 + 5, elements.count), child + 1)
        where elements[other].precedes(elements[child]) {
          child = other
        }
        guard elements[child].precedes(last) else { break }
        elements[hole] = elements[child]
        hole = child
      }
      elements[hole] = last
    }
    return first
  }
}
