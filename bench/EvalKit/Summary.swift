import OccamCommandLine
import OccamCore

/// The figures of one setting over a question set.
package struct EvalSummary: Sendable {
  package let setting: EvalSetting
  package let questions: Int
  /// Share of right answers of each exact type that occurs, 0...1.
  package let accuracy: [QuestionType: Double]
  /// Mean over the exact types that occur; nil without any.
  package let overall: Double?
  /// `overall` over that of the unpruned run on the same questions.
  package let relative: Double?
  /// Mean word F1 of descriptions; nil without any.
  package let descriptionF1: Double?
  private let records: [EvalRecord]

  /// - Parameters: records: of this setting; baseline: of the unpruned run, possibly of more questions.
  package init(setting: EvalSetting, records: [EvalRecord], baseline: [EvalRecord]) {
    self.setting = setting
    self.records = records
    questions = records.count
    accuracy = EvalSummary.accuracy(records)
    overall = EvalSummary.mean(Array(accuracy.values))
    descriptionF1 = EvalSummary.mean(records.filter { !$0.type.isExact }.map(\.score))
    let ids = Set(records.map(\.id))
    let unpruned = EvalSummary.accuracy(baseline.filter { ids.contains($0.id) })
    let isWhole = baseline.filter { ids.contains($0.id) }.count == records.count
    if let overall, isWhole, let base = EvalSummary.mean(Array(unpruned.values)), base > 0 {
      relative = overall / base
    } else {
      relative = nil
    }
  }

  private static func accuracy(_ records: [EvalRecord]) -> [QuestionType: Double] {
    var result: [QuestionType: Double] = [:]
    for type in QuestionType.allCases where type.isExact {
      result[type] = mean(records.filter { $0.type == type }.map(\.score))
    }
    return result
  }

  private static func mean(_ values: [Double]) -> Double? {
    values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
  }

  /// Mean of a figure over the answers.
  package func mean(_ figure: (EvalRecord) -> Double) -> Double { EvalSummary.mean(records.map(figure)) ?? 0 }

  /// One summary a setting, in order, from what `Evaluator.run` returned.
  package static func all(_ settings: [EvalSetting], _ records: [EvalRecord]) -> [EvalSummary] {
    var bySetting: [String: [EvalRecord]] = [:]
    for record in records { bySetting[record.setting, default: []].append(record) }
    let baseline = bySetting[EvalSetting.off.key] ?? []
    return settings.map { EvalSummary(setting: $0, records: bySetting[$0.key] ?? [], baseline: baseline) }
  }

  package static func table(_ summaries: [EvalSummary]) -> Table {
    let types = QuestionType.allCases.filter { type in summaries.contains { $0.accuracy[type] != nil } }
    var table = Table(
      [
        .init("method", .left), .init("budget"), .init("lambda1"), .init("lambda2"), .init("layer"),
        .init("KV policy", key: "kv_policy", .left), .init("questions"),
      ] + types.map { .init("\($0.rawValue) %", key: $0.rawValue) } + [
        .init("exact %", key: "exact"), .init("relative %", key: "relative"),
        .init("description F1 %", key: "description_f1"), .init("stage I", key: "stage1"), .init("kept"),
        .init("kept %", key: "kept_percent"), .init("tokens/layer", key: "visual_per_layer"),
        .init("KV KiB", key: "kv_kib"), .init("KV cells", key: "kv_cells"), .init("encode ms", key: "encode_ms"),
        .init("prefill ms", key: "prefill_ms"), .init("first token ms", key: "ttft_ms"),
      ])
    for summary in summaries { table.add(summary.row(types)) }
    return table
  }

  private func row(_ types: [QuestionType]) -> [Table.Cell] {
    func percent(_ value: Double?, _ digits: Int = 1) -> Table.Cell {
      value.map { .number($0 * 100, digits: digits) } ?? .missing
    }
    let pruning = setting.pruning
    let isAdaptive = setting.method.isAdaptive
    let total = mean { Double($0.total) }
    return [
      .text(setting.method.rawValue), (setting.budget ?? setting.target).map { .integer($0) } ?? .missing,
      isAdaptive ? .number(Double(pruning.lambda1), digits: 4) : .missing,
      isAdaptive ? .number(Double(pruning.lambda2), digits: 4) : .missing,
      setting.actsInsideModel ? .integer(pruning.layer) : .missing,
      setting.actsInsideModel ? .text(pruning.kvPolicy.rawValue) : .missing, .integer(questions),
    ] + types.map { percent(accuracy[$0]) } + [
      percent(overall), percent(relative), percent(descriptionF1), .number(mean { Double($0.stage1) }, digits: 1),
      .number(mean { Double($0.kept) }, digits: 1), percent(total > 0 ? mean { Double($0.kept) } / total : nil),
      .number(mean(\.visualPerLayer), digits: 1), .number(mean { Double($0.kvBytes) } / 1024, digits: 1),
      .number(mean { Double($0.kvCells) }, digits: 1), .number(mean(\.encode), digits: 2),
      .number(mean(\.prefill), digits: 2), .number(mean(\.timeToFirstToken), digits: 2),
    ]
  }
}
