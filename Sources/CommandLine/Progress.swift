import OccamCore

/// Shows how far a long step is: one line that is drawn over and over on a terminal; otherwise a plain line when the step
/// is done, and one every few seconds until then.
///
/// May be called from any thread. A step begins with its first `update` and ends with `finish`.
package final class ProgressReporter: Sendable {
  private struct Step {
    var name: String
    var started: UInt64
    var shown: UInt64
    var text = ""
  }

  private let terminal: Bool
  private let width: Int
  private let write: @Sendable (String) -> Void
  private let now: @Sendable () -> UInt64
  private let step = Guarded<Step?>(nil)

  /// Nanoseconds between two drawings: 10 a second on a terminal, a line every 5 seconds otherwise.
  private var pause: UInt64 { terminal ? 100_000_000 : 5_000_000_000 }

  /// - Parameters: width: columns of the terminal; now: nanoseconds.
  package init(
    terminal: Bool = Terminal.errorIsTerminal, width: Int = Terminal.width,
    write: @escaping @Sendable (String) -> Void = { Terminal.error($0) },
    now: @escaping @Sendable () -> UInt64 = { Clock.nanoseconds() }
  ) {
    self.terminal = terminal
    self.width = max(width, 20)
    self.write = write
    self.now = now
  }

  /// Reports `done` of `total` parts of the step `name`; another name ends the step before.
  package func update(_ name: String, _ done: Int, of total: Int) {
    let time = now()
    step.withLock { step in
      var isNew = false
      if step?.name != name {
        close(&step, at: time)
        step = Step(name: name, started: time, shown: time)
        isNew = true
      }
      guard var current = step else { return }
      guard isNew || time - current.shown >= pause || (terminal && done >= total) else { return }
      current.shown = time
      let text = terminal ? bar(name, done, total) : "\(name): \(percent(done, total))%\n"
      if terminal || !isNew, text != current.text { write(terminal ? "\r\u{1B}[K" + text : text) }
      current.text = text
      step = current
    }
  }

  /// Ends the step: the bar is wiped from a terminal; otherwise a line says how long it took.
  package func finish() {
    let time = now()
    step.withLock { close(&$0, at: time) }
  }

  private func close(_ step: inout Step?, at time: UInt64) {
    guard let current = step else { return }
    step = nil
    write(terminal ? "\r\u{1B}[K" : "\(current.name): \(fixed(Double(time - current.started) / 1e9, 2)) s\n")
  }

  private func percent(_ done: Int, _ total: Int) -> Int {
    total > 0 ? Int(100 * Double(min(max(done, 0), total)) / Double(total)) : 100
  }

  /// `loading model [#########-----------]  45%`, one column short of the width, so that no line is broken.
  private func bar(_ name: String, _ done: Int, _ total: Int) -> String {
    let share = percent(done, total)
    let end = pad("\(share)", 4) + "%"
    let room = width - 1 - end.count
    let label = String(name.prefix(room))
    let cells = min(room - label.count - 3, 40)
    guard cells >= 5 else { return label + end }
    let filled = cells * share / 100
    return "\(label) [\(String(repeating: "#", count: filled))\(String(repeating: "-", count: cells - filled))]\(end)"
  }
}
