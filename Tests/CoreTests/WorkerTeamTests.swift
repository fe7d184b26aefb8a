import OccamCore
import Synchronization
import Testing

@Suite struct WorkerTeamTests {
  @Test(arguments: [1, 2, 3, 8]) func everyIndexOnce(threads: Int) {
    let team = WorkerTeam(threads: threads)
    let hits = AlignedBuffer<Int32>(count: 1000)
    for round in 1...200 {
      team.parallel(1000, grain: 7) { range, worker in
        for index in range { hits.pointer[index] += worker < threads ? 1 : 1000 }
      }
      #expect(hits.buffer.allSatisfy { $0 == Int32(round) })
    }
  }

  @Test(arguments: [1, 2, 5]) func stepsAreUsedWhereTheyStand(threads: Int) {
    let team = WorkerTeam(threads: threads)
    let hits = AlignedBuffer<Int32>(count: 500)
    for round in 1...200 {
      team.parallel(500, grain: 9, CountingStep(hits: hits, increment: 1))
      #expect(hits.buffer.allSatisfy { $0 == Int32(round) })
    }
  }

  @Test func callersFromSeveralThreadsTakeTurns() async {
    let team = WorkerTeam(threads: 2)
    let total = Counter()
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<4 {
        group.addTask {
          for _ in 0..<50 {
            team.pass { () throws(Never) in
              team.parallel(64) { range, _ in total.value.add(range.count, ordering: .relaxed) }
              team.parallel(32) { range, _ in total.value.add(range.count, ordering: .relaxed) }
            }
          }
        }
      }
    }
    #expect(total.value.load(ordering: .relaxed) == 4 * 50 * 96)
  }

  @Test func parkedHelpersWakeUp() async throws {
    let team = WorkerTeam(threads: 2)
    for _ in 0..<5 {
      try await Task.sleep(for: .milliseconds(20))
      let total = Atomic<Int>(0)
      team.parallel(100) { range, _ in total.add(range.count, ordering: .relaxed) }
      #expect(total.load(ordering: .relaxed) == 100)
    }
  }
}

/// Cannot be copied: nothing but the caller's own step can reach the threads.
private struct CountingStep: TeamStep, ~Copyable {
  let hits: AlignedBuffer<Int32>
  let increment: Int32
  func run(_ range: Range<Int>, worker: Int) {
    for index in range { hits.pointer[index] += increment }
  }
}

private final class Counter: Sendable {
  let value = Atomic<Int>(0)
}
