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
    nodes = try builder.closed()
    try checkLeftRecursion(grammar)
  }

  /// A rule that begins with itself could go on beginning without ever reading a byte.
  private func checkLeftRecursion(_ grammar: Grammar) throws(GrammarError) {
    let first = firstRules()
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

  /// Of each rule those that can stand at its beginning: behind rules that may be empty, too.
  private func firstRules() -> [Set<Int>] {
    var first = starts.map { _ in Set<Int>() }
    var canBeEmpty = starts.map { _ in false }
    // Of each rule the places behind its calls: they are reached as soon as it is found that it may be empty.
    var behind: [[(node: Int32, rule: Int)]] = starts.map { _ in [] }
    var isReached = nodes.map { _ in false }
    var pending = starts.enumerated().map { (node: $1, rule: $0) }
    while let (node, rule) = pending.popLast() {
      guard !isReached[Int(node)] else { continue }
      isReached[Int(node)] = true
      if nodes[Int(node)].isEnd, !canBeEmpty[rule] {
        canBeEmpty[rule] = true
        pending += behind[rule]
        behind[rule] = []
      }
      for call in nodes[Int(node)].calls {
        let called = Int(call.rule)
        first[rule].insert(called)
        if canBeEmpty[called] {
          pending.append((call.target, rule))
        } else {
          behind[called].append((call.target, rule))
        }
      }
    }
    return first
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
  private var edges = 0
  private let limits: GrammarLimits

  init(limits: GrammarLimits) { self.limits = limits }

  mutating func node() throws(GrammarError) -> Int {
    guard nodes.count < limits.nodes else {
      throw GrammarError("grammar", "is too large: more than \(limits.nodes) places, repetitions written out")
    }
    nodes.append(Open())
    return nodes.count - 1
  }

  private func check(_ edges: Int) throws(GrammarError) {
    guard edges <= limits.edges else {
      throw GrammarError("grammar", "is too large: more than \(limits.edges) ways, repetitions written out")
    }
  }

  /// Before edges, calls or steps are added.
  private mutating func count(_ more: Int = 1) throws(GrammarError) {
    edges += more
    try check(edges)
  }

  private mutating func step(from start: Int, to end: Int) throws(GrammarError) {
    try count()
    nodes[start].steps.append(end)
  }

  mutating func add(_ expression: Expression, from start: Int, to end: Int) throws(GrammarError) {
    switch expression {
    case .literal(let bytes): try add(bytes.map { $0...$0 }, from: start, to: end)
    case .characters(let ranges):
      // Ranges that have no bytes cost time all the same.
      try count(ranges.count)
      for sequence in UTF8Ranges.sequences(ranges) { try add(sequence, from: start, to: end) }
    case .sequence(let parts):
      var place = start
      for part in parts {
        let next = try node()
        try add(part, from: place, to: next)
        place = next
      }
      try step(from: place, to: end)
    case .choice(let parts): for part in parts { try add(part, from: start, to: end) }
    case .rule(let rule):
      try count()
      nodes[start].calls.append(GrammarGraph.Call(rule: Int32(rule), target: Int32(end)))
    case .repetition(let body, let minimum, let maximum):
      var place = start
      for _ in 0..<minimum {
        let next = try node()
        try add(body, from: place, to: next)
        place = next
      }
      if let maximum {
        for _ in minimum..<maximum {
          try step(from: place, to: end)
          let next = try node()
          try add(body, from: place, to: next)
          place = next
        }
        try step(from: place, to: end)
      } else {
        let loop = try node()
        try step(from: place, to: loop)
        try step(from: loop, to: end)
        try add(body, from: loop, to: loop)
      }
    }
  }

  private mutating func add(_ sequence: [ClosedRange<UInt8>], from start: Int, to end: Int) throws(GrammarError) {
    guard !sequence.isEmpty else {
      try step(from: start, to: end)
      return
    }
    try count(sequence.count)
    var place = start
    for (index, bytes) in sequence.enumerated() {
      let next = index == sequence.count - 1 ? end : try node()
      nodes[place].edges.append(GrammarGraph.ByteEdge(bytes: bytes, target: Int32(next)))
      place = next
    }
  }

  /// Every node with what it reaches without a byte.
  func closed() throws(GrammarError) -> [GrammarGraph.Node] {
    var result: [GrammarGraph.Node] = []
    result.reserveCapacity(nodes.count)
    var total = 0
    for start in nodes.indices {
      var node = GrammarGraph.Node()
      var pending = [start]
      var seen = Set(pending)
      while let place = pending.popLast() {
        let open = nodes[place]
        total += open.edges.count + open.calls.count + open.steps.count
        try check(total)
        node.edges += open.edges
        node.calls += open.calls
        if open.isEnd { node.isEnd = true }
        for step in open.steps where seen.insert(step).inserted { pending.append(step) }
      }
      result.append(node)
    }
    return result
  }
}
