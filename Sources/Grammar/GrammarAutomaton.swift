/// A grammar at work: states, each a set of places in rules with what called them, and the steps between them by bytes.
/// States are made as they are met and remembered. One thread at a time.
final class GrammarAutomaton {
  /// A place in the graph and the calls that led there.
  private struct Place: Hashable {
    let node: Int32
    let stack: Int32
  }

  /// Where to go on behind a rule, and the stack below.
  private struct Frame: Hashable {
    let node: Int32
    let below: Int32
  }

  static let dead: Int32 = -1
  static let unknown: Int32 = -2
  private static let empty: Int32 = -1

  private let graph: GrammarGraph
  private let limits: GrammarLimits
  private var frames: [Frame] = []
  private var depths: [Int32] = []
  private var frameNumbers: [Frame: Int32] = [:]
  private var states: [[Place]] = []
  private var canEnd: [Bool] = []
  private var stateNumbers: [[Place]: Int32] = [:]
  /// 256 a state.
  private var steps: [Int32] = []
  private(set) var start: Int32 = 0

  /// Places of all states.
  private var placeCount = 0
  /// States, and places with frames, that were there from the beginning.
  private var initial = (states: 0, places: 0)

  init(_ graph: GrammarGraph, limits: GrammarLimits) throws(GrammarError) {
    self.graph = graph
    self.limits = limits
    var places = PlaceSet()
    guard expand(graph.starts[Int(graph.root)], GrammarAutomaton.empty, &places) else {
      throw GrammarError("grammar", "a text can begin in more than \(limits.places) places")
    }
    start = number(of: places)
    noteInitial()
  }

  /// A fresh one that remembers of another's states its start and these, which become their numbers here.
  init(_ other: GrammarAutomaton, keeping states: inout some MutableCollection<Int32>) {
    graph = other.graph
    limits = other.limits
    var known: [Int32: Int32] = [:]
    start = adopt(other.start, of: other, &known)
    for index in states.indices { states[index] = adopt(states[index], of: other, &known) }
    noteInitial()
  }

  var stateCount: Int { states.count }

  /// Whether as much was remembered since the beginning as should be.
  private(set) var isFull = false

  private func noteInitial() {
    initial = (states.count, placeCount + frames.count)
    isFull = false
  }

  /// Another automaton's state as one of this one.
  func adopt(_ state: Int32, of other: GrammarAutomaton) -> Int32 {
    var known: [Int32: Int32] = [:]
    return adopt(state, of: other, &known)
  }

  private func adopt(_ state: Int32, of other: GrammarAutomaton, _ known: inout [Int32: Int32]) -> Int32 {
    var places = PlaceSet()
    places.canEnd = other.canEnd(state)
    places.list = other.states[Int(state)].map {
      Place(node: $0.node, stack: adopt(stack: $0.stack, of: other, &known))
    }
    return number(of: places)
  }

  /// No deeper than the limit on a stack's depth.
  private func adopt(stack: Int32, of other: GrammarAutomaton, _ known: inout [Int32: Int32]) -> Int32 {
    guard stack != GrammarAutomaton.empty else { return stack }
    if let number = known[stack] { return number }
    let frame = other.frames[Int(stack)]
    let below = adopt(stack: frame.below, of: other, &known)
    let number = number(of: Frame(node: frame.node, below: below), depth: other.depths[Int(stack)])
    known[stack] = number
    return number
  }

  /// Whether the text may end here.
  func canEnd(_ state: Int32) -> Bool { canEnd[Int(state)] }
  /// Whether anything may follow.
  func canGoOn(_ state: Int32) -> Bool { !states[Int(state)].isEmpty }

  /// The state behind a byte; `dead` if the grammar does not allow it.
  @inline(__always)
  func step(_ state: Int32, _ byte: UInt8) -> Int32 {
    let known = known(state, byte)
    return known != GrammarAutomaton.unknown ? known : compute(state, byte)
  }

  /// The same if it is remembered, or `unknown`.
  @inline(__always)
  func known(_ state: Int32, _ byte: UInt8) -> Int32 { steps[Int(state) << 8 | Int(byte)] }

  private func compute(_ state: Int32, _ byte: UInt8) -> Int32 {
    var places = PlaceSet()
    var isTooWide = false
    // Bytes around this one that meet the same edges lead to the same state.
    var (low, high) = (UInt8.min, UInt8.max)
    for place in states[Int(state)] {
      for edge in graph.nodes[Int(place.node)].edges {
        if edge.bytes.contains(byte) {
          (low, high) = (max(low, edge.bytes.lowerBound), min(high, edge.bytes.upperBound))
          isTooWide = isTooWide || !expand(edge.target, place.stack, &places)
        } else if edge.bytes.upperBound < byte {
          low = max(low, edge.bytes.upperBound + 1)
        } else {
          high = min(high, edge.bytes.lowerBound - 1)
        }
      }
    }
    let isDead = isTooWide || (places.list.isEmpty && !places.canEnd)
    let next = isDead ? GrammarAutomaton.dead : number(of: places)
    for other in low...high { steps[Int(state) << 8 | Int(other)] = next }
    // Calls are remembered even where the state is dead.
    isFull =
      states.count - initial.states > limits.states || placeCount + frames.count - initial.places > limits.statePlaces
    return next
  }

  private struct PlaceSet {
    var list: [Place] = []
    var canEnd = false
    var seen: Set<Place> = []
  }

  /// Adds a place and all that can be reached from it without a byte: into rules and out of them.
  /// - Returns: false if these are too many: alternatives that begin alike double them with every level.
  private func expand(_ node: Int32, _ stack: Int32, _ places: inout PlaceSet) -> Bool {
    var pending = [Place(node: node, stack: stack)]
    while let place = pending.popLast() {
      guard places.seen.insert(place).inserted else { continue }
      // Also those passed on the way, though out of rules there is nothing to stay at.
      guard places.list.count <= limits.places, places.seen.count <= 4 * limits.places else { return false }
      let content = graph.nodes[Int(place.node)]
      if !content.edges.isEmpty { places.list.append(place) }
      if content.isEnd {
        if place.stack == GrammarAutomaton.empty {
          places.canEnd = true
        } else {
          let frame = frames[Int(place.stack)]
          pending.append(Place(node: frame.node, stack: frame.below))
        }
      }
      for call in content.calls {
        guard let stack = push(call.target, place.stack) else { continue }
        pending.append(Place(node: graph.starts[Int(call.rule)], stack: stack))
      }
    }
    return places.list.count <= limits.places
  }

  /// A call that is a rule's last part leaves nothing to come back to: lists written with such calls stay flat.
  /// - Returns: nil where rules are too deep inside each other.
  private func push(_ node: Int32, _ below: Int32) -> Int32? {
    let content = graph.nodes[Int(node)]
    if content.isEnd, content.edges.isEmpty, content.calls.isEmpty { return below }
    let frame = Frame(node: node, below: below)
    let depth = below == GrammarAutomaton.empty ? 1 : depths[Int(below)] + 1
    return depth <= limits.stackDepth ? number(of: frame, depth: depth) : nil
  }

  private func number(of frame: Frame, depth: Int32) -> Int32 {
    if let known = frameNumbers[frame] { return known }
    frames.append(frame)
    depths.append(depth)
    frameNumbers[frame] = Int32(frames.count - 1)
    return Int32(frames.count - 1)
  }

  private func number(of places: PlaceSet) -> Int32 {
    var list = places.list.sorted { ($0.node, $0.stack) < ($1.node, $1.stack) }
    // Two states with the same places differ in whether they may end: this one cannot be a place of any rule.
    if places.canEnd { list.append(Place(node: -1, stack: -1)) }
    if let known = stateNumbers[list] { return known }
    let number = Int32(states.count)
    stateNumbers[list] = number
    if places.canEnd { list.removeLast() }
    states.append(list)
    placeCount += list.count
    canEnd.append(places.canEnd)
    steps.append(contentsOf: repeatElement(GrammarAutomaton.unknown, count: 256))
    return number
  }
}
