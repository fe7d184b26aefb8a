/// A grammar as graphs of bytes, one a rule: what the automaton walks on.
struct GrammarGraph: Sendable {
  struct ByteEdge: Sendable {
    let bytes: ClosedRange<UInt8>
    let target: Int32
  }

  /// A rule that begins here, and where to go on behind it.
  struct Call: Sendable {
    let rule: Int32
    let target: Int32
  }

  /// A place in a rule, with all that can be reached from it without a byte.
  struct Node: Sendable {
    var edges: [ByteEdge] = []
    var calls: [Call] = []
    /// The rule may end here.
    var isEnd = false
  }

  private(set) var nodes: [Node] = []
  /// Where each rule begins.
  private(set) var starts: [Int32] = []
  let root: Int32

  init(_ grammar: Grammar) throws(GrammarError) {
    root = Int32(grammar.root)
    var builder = GraphBuilder(limits: grammar.limits)
    for rule in grammar.rules {
      let (start, end) = (try builder.node(), try builder.node())
      builder.nodes[end].isEnd = true
      try builder.add(rule.body, from: start, to: end)
      starts.append(Int32(start))
    }
    nodes = builder.closed()
    try checkLeftRecursion(grammar)
  }

  /// A rule that begins with itself could go on beginning without ever reading a byte.
  private func checkLeftRecursion(_ grammar: Grammar) throws(GrammarError) {
    let nullable = nullableRules()
    // Which rules can stand at a rule's beginning.
    var first = starts.map { _ in Set<Int>() }
    for rule in starts.indices {
      var pending = [starts[rule]]
      var seen = Set(pending)
      while let node = pending.popLast() {
        for call in nodes[Int(node)].calls {
          first[rule].insert(Int(call.rule))
          if nullable[Int(call.rule)], seen.insert(call.target).inserted { pending.append(call.target) }
        }
      }
    }
    // 0: not seen, 1: on the way, 2: done.
    var colour = [UInt8](repeating: 0, count: starts.count)
    for rule in starts.indices where colour[rule] == 0 {
      var path = [(rule, Array(first[rule]))]
      colour[rule] = 1
      while let (current, rest) = path.last {
        guard let next = rest.last else {
          colour[current] = 2
          path.removeLast()
          continue
        }
        path[path.count - 1].1.removeLast()
        if colour[next] == 1 {
          throw GrammarError("rule '\(grammar.rules[next].name)'", "begins with itself (left recursion)")
        }
        if colour[next] == 0 {
          colour[next] = 1
          path.append((next, Array(first[next])))
        }
      }
    }
  }

  /// Rules that may be empty.
  private func nullableRules() -> [Bool] {
    var nullable = starts.map { _ in false }
    var hasChanged = true
    while hasChanged {
      hasChanged = false
      for rule in starts.indices where !nullable[rule] {
        var pending = [starts[rule]]
        var seen = Set(pending)
        while let node = pending.popLast() {
          if nodes[Int(node)].isEnd {
            nullable[rule] = true
            hasChanged = true
            break
          }
          for call in nodes[Int(node)].calls where nullable[Int(call.rule)] {
            if seen.insert(call.target).inserted { pending.append(call.target) }
          }
        }
      }
    }
    return nullable
  }
}

/// Writes expressions out as nodes, with steps that read nothing; `closed` takes these away.
private struct GraphBuilder {
  struct Open {
    var edges: [GrammarGraph.ByteEdge] = []
    var calls: [GrammarGraph.Call] = []
    var steps: [Int] = []
    var isEnd = false
  }

  var nodes: [Open] = []
  let limits: GrammarLimits

  init(limits: GrammarLimits) { self.limits = limits }

  mutating func node() throws(GrammarError) -> Int {
    guard nodes.count < limits.nodes else {
      throw GrammarError("grammar", "is too large: more than \(limits.nodes) places, repetitions written out")
    }
    nodes.append(Open())
    return nodes.count - 1
  }

  mutating func add(_ expression: Expression, from start: Int, to end: Int) throws(GrammarError) {
    switch expression {
    case .literal(let bytes): try add(bytes.map { $0...$0 }, from: start, to: end)
    case .characters(let ranges):
      for sequence in UTF8Ranges.sequences(ranges) { try add(sequence, from: start, to: end) }
    case .sequence(let parts):
      var place = start
      for part in parts {
        let next = try node()
        try add(part, from: place, to: next)
        place = next
      }
      nodes[place].steps.append(end)
    case .choice(let parts): for part in parts { try add(part, from: start, to: end) }
    case .rule(let rule): nodes[start].calls.append(GrammarGraph.Call(rule: Int32(rule), target: Int32(end)))
    case .repetition(let body, let minimum, let maximum):
      var place = start
      for _ in 0..<minimum {
        let next = try node()
        try add(body, from: place, to: next)
        place = next
      }
      if let maximum {
        for _ in minimum..<maximum {
          nodes[place].steps.append(end)
          let next = try node()
          try add(body, from: place, to: next)
          place = next
        }
        nodes[place].steps.append(end)
      } else {
        let loop = try node()
        nodes[place].steps.append(loop)
        nodes[loop].steps.append(end)
        try add(body, from: loop, to: loop)
      }
    }
  }

  private mutating func add(_ sequence: [ClosedRange<UInt8>], from start: Int, to end: Int) throws(GrammarError) {
    guard !sequence.isEmpty else {
      nodes[start].steps.append(end)
      return
    }
    var place = start
    for (index, bytes) in sequence.enumerated() {
      let next = index == sequence.count - 1 ? end : try node()
      nodes[place].edges.append(GrammarGraph.ByteEdge(bytes: bytes, target: Int32(next)))
      place = next
    }
  }

  /// Every node with what it reaches without a byte.
  func closed() -> [GrammarGraph.Node] {
    nodes.indices.map { start in
      var node = GrammarGraph.Node()
      var pending = [start]
      var seen = Set(pending)
      while let place = pending.popLast() {
        node.edges += nodes[place].edges
        node.calls += nodes[place].calls
        if nodes[place].isEnd { node.isEnd = true }
        for step in nodes[place].steps where seen.insert(step).inserted { pending.append(step) }
      }
      return node
    }
  }
}
