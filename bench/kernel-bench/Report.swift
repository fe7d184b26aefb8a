import OccamCore
import OccamMatmul
import OccamQuantFormats

/// Rows of a plain table, or one JSON object a line.
struct Report {
  let json: Bool

  init(json: Bool) { self.json = json }

  func bounds(_ set: String, _ bounds: Bounds, threads: Int) {
    let (integers, floats) = (2 * bounds.integers, 2 * bounds.floats)
    if json {
      print(
        #"{"type":"bounds","kernel":"\#(set)","integer_gops":\#(fixed(integers, 1)),"#
          + #""float_gflops":\#(fixed(floats, 1)),"read_gbs_1":\#(fixed(bounds.readOne, 2)),"#
          + #""threads":\#(threads),"read_gbs":\#(fixed(bounds.readTeam, 2)),"#
          + #""read_gbs_median":\#(fixed(bounds.readTeamMedian, 2))}"#)
      return
    }
    print(
      "\(set): one thread multiplies at most \(fixed(integers, 0)) GOPS (integers), \(fixed(floats, 0)) GFLOPS; "
        + "memory gives \(fixed(bounds.readOne, 1)) GB/s to one thread, \(fixed(bounds.readTeam, 1)) to \(threads)")
    print("format        shape      tokens  threads        ms     GOPS  of bound     GB/s  of bound")
  }

  func product(
    _ set: String, _ format: QuantFormat, _ shape: Shape, tokens: Int, threads: Int, seconds: Double, bytes: Int,
    bounds: Bounds
  ) {
    let gops = 2 * Double(shape.rows) * Double(shape.columns) * Double(tokens) / seconds / 1e9
    let speed = Double(bytes) / seconds / 1e9
    let peak = 2 * (format.isQuantized ? bounds.integers : bounds.floats) * Double(threads)
    if json {
      print(
        #"{"type":"product","kernel":"\#(set)","format":"\#(format.name)","rows":\#(shape.rows),"#
          + #""columns":\#(shape.columns),"tokens":\#(tokens),"threads":\#(threads),"ms":\#(fixed(seconds * 1e3, 4)),"#
          + #""gops":\#(fixed(gops, 1)),"gops_of_bound":\#(fixed(gops / peak, 3)),"gbs":\#(fixed(speed, 2)),"#
          + #""gbs_of_bound":\#(fixed(speed / bounds.readTeam, 3))}"#)
      return
    }
    let cells = [
      (format.name, -6), ("\(shape.rows) x \(shape.columns)", 14), ("\(tokens)", 10), ("\(threads)", 9),
      (fixed(seconds * 1e3, 3), 10), (fixed(gops, 1), 9), (fixed(100 * gops / peak, 0) + " %", 10),
      (fixed(speed, 1), 9), (fixed(100 * speed / bounds.readTeam, 0) + " %", 10),
    ]
    print(
      cells.map { text, width in
        let gap = String(repeating: " ", count: max(0, abs(width) - text.count))
        return width < 0 ? text + gap : gap + text
      }.joined())
  }
}
