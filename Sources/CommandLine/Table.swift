import OccamCore

/// Rows of results, printed as Markdown, CSV or JSON.
package struct Table: Sendable {
  package enum Format: String, Sendable, CaseIterable { case md, csv, json }
  package enum Alignment: Sendable { case left, right }

  package enum Cell: Sendable, Equatable {
    case text(String)
    case integer(Int)
    /// Shown with `digits` decimals; JSON gets the whole number.
    case number(Double, digits: Int)
    /// Mean and spread of several runs, `12.34 ± 0.05`; JSON and CSV get two numbers.
    case spread(Double, Double, digits: Int)
    case missing
  }

  package struct Column: Sendable {
    /// Heading in Markdown.
    package let title: String
    /// Name in CSV and JSON.
    package let key: String
    package let alignment: Alignment

    package init(_ title: String, key: String? = nil, _ alignment: Alignment = .right) {
      self.title = title
      self.key = key ?? title
      self.alignment = alignment
    }
  }

  package let columns: [Column]
  package private(set) var rows: [[Cell]] = []

  package init(_ columns: [Column]) { self.columns = columns }

  /// - Precondition: one cell per column.
  package mutating func add(_ row: [Cell]) {
    precondition(row.count == columns.count, "Table: \(row.count) cells for \(columns.count) columns")
    rows.append(row)
  }

  /// The rows of both under the columns of both; columns with the same key are one.
  package func joined(with other: Table) -> Table {
    let known = Set(columns.map(\.key))
    var result = Table(columns + other.columns.filter { !known.contains($0.key) })
    for table in [self, other] {
      let places = result.columns.map { column in table.columns.firstIndex { $0.key == column.key } }
      for row in table.rows { result.add(places.map { $0.map { row[$0] } ?? .missing }) }
    }
    return result
  }

  package func text(_ format: Format) -> String {
    switch format {
    case .md: markdown()
    case .csv: csv()
    case .json: JSONValue.array(rows.map(object)).text(indented: true) + "\n"
    }
  }

  private func markdown() -> String {
    let cells = rows.map { $0.map { Table.markdown($0) } }
    let titles = columns.map { $0.title.replacing("|", with: "\\|") }
    let widths = columns.indices.map { column in
      max(cells.map { $0[column].count }.max() ?? 0, titles[column].count, 3)
    }
    func line(_ texts: [String]) -> String {
      let padded = columns.indices.map { pad(texts[$0], widths[$0], left: columns[$0].alignment == .left) }
      return "| " + padded.joined(separator: " | ") + " |\n"
    }
    let rule = columns.indices.map { column in
      let dashes = String(repeating: "-", count: widths[column] - 1)
      return columns[column].alignment == .left ? dashes + "-" : dashes + ":"
    }
    return line(titles) + line(rule) + cells.map(line).joined()
  }

  private static func markdown(_ cell: Cell) -> String {
    switch cell {
    case .text(let text):
      text.replacing("|", with: "\\|").replacing("\r\n", with: " ").replacing("\n", with: " ")
    case .integer(let value): "\(value)"
    case .number(let value, let digits): fixed(value, digits)
    case .spread(let mean, let deviation, let digits): "\(fixed(mean, digits)) ± \(fixed(deviation, digits))"
    case .missing: "-"
    }
  }

  /// RFC 4180, lines ended by a newline alone. A column with spreads becomes two.
  private func csv() -> String {
    let hasSpread = columns.indices.map { column in
      rows.contains { if case .spread = $0[column] { true } else { false } }
    }
    var header: [String] = []
    for (column, spread) in zip(columns, hasSpread) {
      header.append(Table.quoted(column.key))
      if spread { header.append(Table.quoted(column.key + "_stddev")) }
    }
    let lines = rows.map { row in
      zip(row, hasSpread).flatMap { cell, spread in
        switch cell {
        case .text(let text): [Table.quoted(text)] + (spread ? [""] : [])
        case .integer(let value): ["\(value)"] + (spread ? [""] : [])
        case .number(let value, let digits): [fixed(value, digits)] + (spread ? [""] : [])
        case .spread(let mean, let deviation, let digits): [fixed(mean, digits), fixed(deviation, digits)]
        case .missing: spread ? ["", ""] : [""]
        }
      }.joined(separator: ",")
    }
    return ([header.joined(separator: ",")] + lines).map { $0 + "\n" }.joined()
  }

  private static func quoted(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: { ",\"\n\r".unicodeScalars.contains($0) }) else { return text }
    return "\"" + text.replacing("\"", with: "\"\"") + "\""
  }

  private func object(_ row: [Cell]) -> JSONValue {
    .object(
      zip(columns, row).flatMap { column, cell in
        switch cell {
        case .text(let text): [JSONMember(column.key, .string(text))]
        case .integer(let value): [JSONMember(column.key, .integer(value))]
        case .number(let value, _): [JSONMember(column.key, .number(value))]
        case .spread(let mean, let deviation, _):
          [JSONMember(column.key, .number(mean)), JSONMember(column.key + "_stddev", .number(deviation))]
        case .missing: [JSONMember(column.key, .null)]
        }
      })
  }
}
