import OccamCore
import OccamMatmul

/// Which experts the rows of a pass take, with what weight, and where their rows stand among those of all experts. Its
/// memory grows with the largest pass and is then reused.
package final class ExpertRouting {
  /// Rows that all experts' inputs take: an expert's follow each other, from a multiple of four on.
  private(set) var slots = 0
  /// Pairs of a row and an expert.
  private(set) var assignments = 0
  /// Experts that any row takes.
  private(set) var expertsTaken = 0
  /// Products of a step, kept so that none is allocated for each token.
  var products: ContiguousArray<MatmulProduct> = []

  private var chosen = AlignedBuffer<Int>(count: 0)
  private var slotOf = AlignedBuffer<Int>(count: 0)
  private var shares = AlignedBuffer<Float>(count: 0)
  private var counts = AlignedBuffer<Int>(count: 0)
  private var ends = AlignedBuffer<Int>(count: 0)
  private var experts = 0

  package init() {}

  /// What is allocated for rows and experts, bytes.
  var byteCount: Int {
    chosen.byteCount + slotOf.byteCount + shares.byteCount + counts.byteCount + ends.byteCount
  }

  /// [rows x used]: of each row's experts, largest weight first, the slot.
  var places: UnsafePointer<Int> { UnsafePointer(slotOf.pointer) }
  /// [rows x used]: their weights.
  var weights: UnsafePointer<Float> { UnsafePointer(shares.pointer) }

  /// - Parameter probabilities: [rows x experts]; of equal ones the first counts as larger.
  func choose(_ probabilities: MatrixView<Float>, _ shape: ExpertShape) {
    let used = shape.used
    experts = shape.count
    assignments = probabilities.rows * used
    if chosen.count < assignments {
      chosen = AlignedBuffer(count: assignments)
      slotOf = AlignedBuffer(count: assignments)
      shares = AlignedBuffer(count: assignments)
    }
    if counts.count < experts {
      counts = AlignedBuffer(count: experts)
      ends = AlignedBuffer(count: experts)
    }
    counts.pointer.update(repeating: 0, count: experts)
    for row in 0..<probabilities.rows {
      let best = chosen.pointer + row * used
      let p = UnsafePointer(probabilities.row(row))
      ExpertRouting.largest(p, experts, used, into: best)
      weigh(p, best, into: shares.pointer + row * used, shape)
      for index in 0..<used { counts.pointer[best[index]] += 1 }
    }
    place()
  }

  /// Indices of the `used` largest of `count` numbers, in falling order; of equal ones the first. NaN counts as no larger
  /// than anything.
  private static func largest(
    _ p: UnsafePointer<Float>, _ count: Int, _ used: Int, into best: UnsafeMutablePointer<Int>
  ) {
    var held = 0
    for index in 0..<count {
      if held < used { held += 1 } else if !(p[index] > p[best[used - 1]]) { continue }
      var place = held - 1
      while place > 0, p[index] > p[best[place - 1]] {
        best[place] = best[place - 1]
        place -= 1
      }
      best[place] = index
    }
  }

  private func weigh(
    _ p: UnsafePointer<Float>, _ best: UnsafePointer<Int>, into weights: UnsafeMutablePointer<Float>,
    _ shape: ExpertShape
  ) {
    var sum: Float = 0
    for index in 0..<shape.used {
      weights[index] = p[best[index]]
      sum += weights[index]
    }
    // The smallest normal half keeps llama.cpp from dividing by zero.
    let divisor = shape.normalizesWeights ? max(sum, 0x1p-14) : 1
    for index in 0..<shape.used { weights[index] = weights[index] / divisor * shape.scale }
  }

  /// Slots from the counts, row by row.
  private func place() {
    (slots, expertsTaken) = (0, 0)
    for expert in 0..<experts {
      ends.pointer[expert] = slots
      guard counts.pointer[expert] > 0 else { continue }
      expertsTaken += 1
      slots += (counts.pointer[expert] + 3) / 4 * 4
    }
    for index in 0..<assignments {
      let expert = chosen.pointer[index]
      slotOf.pointer[index] = ends.pointer[expert]
      ends.pointer[expert] += 1
    }
  }

  /// Each expert that a row takes, and its slots.
  func eachExpert(_ body: (_ expert: Int, _ rows: Range<Int>) -> Void) {
    for expert in 0..<experts where counts.pointer[expert] > 0 {
      let end = ends.pointer[expert]
      body(expert, end - counts.pointer[expert]..<end)
    }
  }
}
