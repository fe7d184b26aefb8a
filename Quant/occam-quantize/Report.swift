import OccamCore
import OccamQuantizer

/// The lines a user sees: one per tensor, aligned, and the totals.
struct Report {
  private let plan: QuantizationPlan
  private let nameWidth: Int
  private let shapeWidth: Int

  init(_ plan: QuantizationPlan) {
    self.plan = plan
    nameWidth = min(plan.tensors.reduce(0) { max($0, $1.info.name.count) }, 48)
    shapeWidth = plan.tensors.reduce(0) { max($0, Report.shape($1).count) }
  }

  func line(_ index: Int, _ tensor: PlannedTensor) -> String {
    let width = "\(plan.tensors.count)".count
    var text =
      "[\(pad("\(index + 1)", width))/\(plan.tensors.count)] \(pad(safe(tensor.info.name), nameWidth, left: true))"
    text += "  \(pad(Report.shape(tensor), shapeWidth))  \(pad(tensor.info.type.name.uppercased(), 5, left: true))"
    let size = pad(Report.size(tensor.info.byteRange.count), 11)
    guard tensor.conversion != nil else { return text + pad("kept", 10, left: true) + size }
    return text + "-> \(pad(tensor.targetName, 6, left: true)) \(size) -> \(pad(Report.size(tensor.byteCount), 10))"
  }

  func fallback(_ tensor: PlannedTensor) -> String {
    let wanted = tensor.conversion?.instead
    let columns = tensor.info.dimensions.first ?? 1
    return "warning: '\(safe(tensor.info.name))': rows of \(columns) are no multiple of \(wanted?.blockSize ?? 1) "
      + "(\(wanted?.name ?? "")): \(tensor.targetName) instead"
  }

  var summary: String {
    let elements = max(Double(plan.elements), 1)
    func bits(_ bytes: Int) -> String {
      "\(Report.size(bytes)) (\(fixed(Double(bytes) * 8 / elements, 2)) bits a weight)"
    }
    return "size  \(bits(plan.inputBytes)) -> \(bits(plan.outputBytes))"
  }

  private static func size(_ bytes: Int) -> String {
    bytes < 1 << 20 ? "\(fixed(Double(bytes) / 1024, 1)) KiB" : "\(mebibytes(bytes)) MiB"
  }

  private static func shape(_ tensor: PlannedTensor) -> String {
    tensor.info.dimensions.map(String.init).joined(separator: " x ")
  }

  /// A name from a file must not move the cursor.
  private func safe(_ name: String) -> String {
    String(String.UnicodeScalarView(name.unicodeScalars.map { $0.value < 32 || $0.value == 127 ? "?" : $0 }))
  }
}
