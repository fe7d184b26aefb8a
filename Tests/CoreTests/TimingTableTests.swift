import OccamCore
import Testing

@Suite struct TimingTableTests {
  @Test func rowsByGroupAndOperation() throws {
    let table = TimingTable()
    table.begin(group: "prefill 1-2")
    table.add("text.qkv", nanoseconds: 2_000_000, MeasuredWork(operations: 1e9, bytes: 3e6))
    table.add("text.qkv", nanoseconds: 2_000_000, MeasuredWork(operations: 1e9, bytes: 3e6))
    table.add("text.norm", nanoseconds: 1_000_000)
    table.begin(group: "decode 1-4")
    table.add("text.qkv", nanoseconds: 5_000_000, MeasuredWork(operations: 1e8, bytes: 1e8))
    #expect(table.nanoseconds(of: "text.qkv") == 9_000_000)
    let rows = table.table().split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
    #expect(rows[0] == ["layers", "operation", "calls", "ms", "share", "GOPS", "GB/s"])
    #expect(rows[1] == ["decode", "1-4", "text.qkv", "1", "5.00", "50.0%", "20.0", "20.00"])
    #expect(rows[2] == ["prefill", "1-2", "text.qkv", "2", "4.00", "40.0%", "500.0", "1.50"])
    #expect(rows[3] == ["prefill", "1-2", "text.norm", "1", "1.00", "10.0%", "-", "-"])
    #expect(rows.count == 4)
  }
}
