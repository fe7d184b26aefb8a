import OccamCore

/// A grammar made ready for one vocabulary. Replies that are held to it share what it remembers.
package final class CompiledGrammar: Sendable {
  /// States and masks; replaced when it has grown too large, while replies that began with it go on with it.
  fileprivate final class Memory: @unchecked Sendable {
    let automaton: GrammarAutomaton
    var masks: [Int32: TokenMask] = [:]

    init(_ automaton: GrammarAutomaton) { self.automaton = automaton }
  }

  package let vocabulary: GrammarVocabulary
  private let limits: GrammarLimits
  // One lock for all memories: a walk takes milliseconds once for each state, and microseconds later.
  private let current: Guarded<Memory>

  package init(_ grammar: Grammar, _ vocabulary: GrammarVocabulary) throws(GrammarError) {
    self.vocabulary = vocabulary
    limits = grammar.limits
    current = Guarded(Memory(try GrammarAutomaton(try GrammarGraph(grammar), limits: limits)))
  }

  /// Remembered states and masks.
  package var counts: (states: Int, masks: Int) {
    current.withLock { ($0.automaton.stateCount, $0.masks.count) }
  }

  fileprivate func begin() -> (Memory, state: Int32) {
    current.withLock { memory in
      if memory.automaton.isFull {
        var none: [Int32] = []
        memory = Memory(GrammarAutomaton(memory.automaton, keeping: &none))
      }
      return (memory, memory.automaton.start)
    }
  }

  /// Runs `body` alone.
  fileprivate func alone<R: Sendable>(_ body: () -> R) -> R { current.withLock { _ in body() } }

  /// Also goes on to another memory, with the same state there, when this one has grown too large: to that of replies
  /// that begin now, or to a fresh one, which such replies then share if they shared this one.
  fileprivate func mask(_ memory: inout Memory, _ state: inout Int32) -> TokenMask {
    let (old, before) = (memory, state)
    let (mask, newMemory, newState) = current.withLock { current in
      let known = current
      if old.automaton.isFull, old !== known, !known.automaton.isFull {
        return remembered(known, known.automaton.adopt(before, of: old.automaton), &current)
      }
      return remembered(old, before, &current)
    }
    (memory, state) = (newMemory, newState)
    return mask
  }

  private func remembered(_ old: Memory, _ state: Int32, _ current: inout Memory) -> (TokenMask, Memory, Int32) {
    if let known = old.masks[state], !old.automaton.isFull { return (known, old, state) }
    var (automaton, state) = (old.automaton, state)
    let mask = walk(&automaton, from: &state)
    var memory = old
    if automaton !== old.automaton {
      memory = Memory(automaton)
      if current === old { current = memory }
    }
    if (memory.masks.count + 1) * mask.words.count * 8 > limits.maskBytes { memory.masks.removeAll() }
    memory.masks[state] = mask
    return (mask, memory, state)
  }

  /// All tokens whose bytes the automaton takes. One that is full on the way is left for a fresh one, which knows the
  /// states on the way here.
  private func walk(_ automaton: inout GrammarAutomaton, from state: inout Int32) -> TokenMask {
    var words = [UInt64](repeating: 0, count: (vocabulary.count + 63) / 64)
    var states = [Int32](repeating: state, count: vocabulary.deepest + 1)
    var node = 0
    while node < vocabulary.bytes.count {
      if automaton.isFull {
        automaton = GrammarAutomaton(automaton, keeping: &states[...Int(vocabulary.depths[node])])
      }
      node = walk(automaton, from: node, &states, &words)
    }
    state = states[0]
    if automaton.canEnd(state) {
      for id in vocabulary.ends { words[Int(id) >> 6] |= 1 << UInt64(id & 63) }
    }
    return TokenMask(words: words)
  }

  /// The tree of pieces from a node on, a subtree left out as soon as it is dead.
  /// - Returns: the node to go on with: the end, or where the automaton became full.
  private func walk(
    _ automaton: GrammarAutomaton, from start: Int, _ states: inout [Int32], _ words: inout [UInt64]
  ) -> Int {
    let count = vocabulary.bytes.count
    var node = start
    vocabulary.bytes.withUnsafeBufferPointer { bytes in
      vocabulary.depths.withUnsafeBufferPointer { depths in
        vocabulary.firstTokens.withUnsafeBufferPointer { first in
          while node < count {
            let depth = Int(depths[node])
            let known = automaton.known(states[depth], bytes[node])
            let isNew = known == GrammarAutomaton.unknown
            let next = isNew ? automaton.step(states[depth], bytes[node]) : known
            if next == GrammarAutomaton.dead {
              node = Int(vocabulary.skips[node])
            } else {
              states[depth + 1] = next
              for index in Int(first[node])..<Int(first[node + 1]) {
                let id = Int(vocabulary.tokens[index])
                words[id >> 6] |= 1 << UInt64(id & 63)
              }
              node += 1
            }
            if isNew, automaton.isFull { return }
          }
        }
      }
    }
    return node
  }
}

/// Where one reply is in its grammar.
package struct GrammarMatcher: Sendable {
  private let compiled: CompiledGrammar
  private var memory: CompiledGrammar.Memory
  private var state: Int32
  /// A token that ends the text was taken.
  package private(set) var hasEnded = false

  package init(_ compiled: CompiledGrammar) {
    self.compiled = compiled
    (memory, state) = compiled.begin()
  }

  /// Tokens that may come next.
  package mutating func mask() -> TokenMask {
    hasEnded ? TokenMask(words: []) : compiled.mask(&memory, &state)
  }

  /// Whether the text may end here.
  package var canEnd: Bool { compiled.alone { hasEnded || memory.automaton.canEnd(state) } }

  /// Whether nothing may follow.
  package var mustEnd: Bool { compiled.alone { hasEnded || !memory.automaton.canGoOn(state) } }

  /// Goes on by a token. - Returns: false, with nothing changed, if the grammar does not allow it.
  package mutating func accept(_ token: Int32) -> Bool {
    guard !hasEnded, token >= 0, Int(token) < compiled.vocabulary.count else { return false }
    if compiled.vocabulary.ends.contains(token) {
      guard canEnd else { return false }
      hasEnded = true
      return true
    }
    let piece = compiled.vocabulary.pieces[Int(token)]
    return piece.isEmpty ? false : accept(bytes: piece)
  }

  /// The same by bytes.
  package mutating func accept(bytes: some Sequence<UInt8> & Sendable) -> Bool {
    let (start, memory) = (state, memory)
    let next = compiled.alone { () -> Int32 in
      var next = start
      for byte in bytes {
        next = memory.automaton.step(next, byte)
        if next == GrammarAutomaton.dead { break }
      }
      return next
    }
    guard next != GrammarAutomaton.dead else { return false }
    state = next
    return true
  }
}
