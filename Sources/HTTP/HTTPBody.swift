import OccamCore

/// Bytes of bodies that the server may still take, over all connections. Any thread.
final class HTTPBodyBudget: Sendable {
  private let left: Guarded<Int>

  init(_ bytes: Int) { left = Guarded(bytes) }

  /// False when there are not as many left; nothing is taken then.
  func take(_ bytes: Int) -> Bool {
    left.withLock { left in
      guard bytes <= left else { return false }
      left -= bytes
      return true
    }
  }

  func give(_ bytes: Int) { left.withLock { $0 += bytes } }
}

/// A part of the budget that is given back with the last reference.
final class HTTPBodyCharge: Sendable {
  private let budget: HTTPBodyBudget
  private let bytes: Int

  init(_ budget: HTTPBodyBudget, bytes: Int) {
    self.budget = budget
    self.bytes = bytes
  }

  deinit { budget.give(bytes) }
}

/// A body that comes in pieces. Charged is the memory that it reserves, not only what came. The loop's thread.
final class HTTPBodyCollector {
  private let budget: HTTPBodyBudget
  private let limit: Int
  private var bytes: [UInt8] = []
  private var charged = 0

  /// - Parameter limit: bytes that may come in all.
  init(_ budget: HTTPBodyBudget, limit: Int) {
    self.budget = budget
    self.limit = limit
  }

  deinit { budget.give(charged) }

  /// Bytes that may still come.
  var left: Int { limit - bytes.count }

  /// False when the budget does not hold what must be reserved.
  func append(_ piece: UnsafeBufferPointer<UInt8>) -> Bool {
    let needed = bytes.count + piece.count
    if needed > charged {
      // Doubled, that few copies are made, but never beyond what can come.
      let wanted = max(needed, min(limit, max(2 * charged, 4096)))
      guard budget.take(wanted - charged) else { return false }
      charged = wanted
      bytes.reserveCapacity(charged)
    }
    bytes.append(contentsOf: piece)
    return true
  }

  /// The body, with its charge; the collector is empty then.
  func take() -> (bytes: [UInt8], charge: HTTPBodyCharge) {
    defer { (bytes, charged) = ([], 0) }
    return (bytes, HTTPBodyCharge(budget, bytes: charged))
  }
}
