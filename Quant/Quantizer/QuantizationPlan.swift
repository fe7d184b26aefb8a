import OccamGGUF
import OccamQuantFormats

/// What the user may decide beyond the type.
package struct QuantizationOptions: Sendable, Equatable {
  package var type: QuantizationType
  /// Format of output.weight, and of token_embd.weight where the model has no output.weight of its own.
  package var outputFormat: QuantFormat?
  /// Format of token_embd.weight.
  package var tokenEmbeddingFormat: QuantFormat?
  /// Everything in the base format, without the mix.
  package var pure = false
  /// Accept input that is quantized already.
  package var allowRequantize = false

  package init(type: QuantizationType) { self.type = type }
}

/// One tensor of the output file.
package struct PlannedTensor: Sendable, Equatable {
  package let info: GGUFTensorInfo
  /// nil: the bytes are copied as they are.
  package let conversion: Conversion?
  package let byteCount: Int

  package struct Conversion: Sendable, Equatable {
    package let from: QuantFormat
    package let to: QuantFormat
    /// The format the rules wanted, where the tensor's rows do not hold whole blocks of it.
    package let instead: QuantFormat?
  }

  package var targetName: String { conversion?.to.name ?? info.type.name.uppercased() }
}

/// Decides the format of every tensor, by llama.cpp's rules for its llama-quantize, before a byte is written.
///
/// One difference: the mixes treat the layers of a vision encoder as those of a text model; llama.cpp orders them by
/// name (10 before 2) and, in Q4_K_M and Q5_K_M, gives all their ffn_down tensors Q6_K.
package struct QuantizationPlan: Sendable {
  /// In the order of the input file.
  package let tensors: [PlannedTensor]

  package var inputBytes: Int { tensors.reduce(0) { $0 + $1.info.byteRange.count } }
  package var outputBytes: Int { tensors.reduce(0) { $0 + $1.byteCount } }
  package var elements: Int { tensors.reduce(0) { $0 + $1.info.elementCount } }
  /// Tensors whose rows do not fit the format they should have had.
  package var fallbacks: [PlannedTensor] { tensors.filter { $0.conversion?.instead != nil } }

  /// - Throws: where a tensor would have to be converted from a format that cannot, or should not, be read.
  package init(for file: GGUFFile, _ options: QuantizationOptions) throws(QuantizeError) {
    let chooser = FormatChooser(file, options)
    var tensors: [PlannedTensor] = []
    for info in file.tensors { tensors.append(try QuantizationPlan.plan(info, file, chooser, options)) }
    self.tensors = tensors
  }

  private static func plan(
    _ info: GGUFTensorInfo, _ file: GGUFFile, _ chooser: FormatChooser, _ options: QuantizationOptions
  ) throws(QuantizeError) -> PlannedTensor {
    let copy = PlannedTensor(info: info, conversion: nil, byteCount: info.byteRange.count)
    guard let wanted = chooser.format(of: info) else { return copy }
    let columns = info.dimensions.first ?? 1
    let target = fitting(wanted, columns)
    guard target.rawValue != info.type.rawValue else { return copy }
    guard let source = QuantFormat(rawValue: info.type.rawValue) else {
      throw QuantizeError(file.subject, tensor: info.name, .unsupportedFormat(info.type.name))
    }
    guard options.allowRequantize || !source.isQuantized || !target.isQuantized else {
      throw QuantizeError(file.subject, tensor: info.name, .alreadyQuantized(source.name))
    }
    guard let bytes = target.byteCount(elements: info.elementCount) else {
      throw QuantizeError(file.subject, .file(GGUFError(file.subject, .tensor(info.name), .sizeOverflow)))
    }
    let conversion = PlannedTensor.Conversion(from: source, to: target, instead: target == wanted ? nil : wanted)
    return PlannedTensor(info: info, conversion: conversion, byteCount: bytes)
  }

  /// The format itself, or what llama.cpp takes where rows of `columns` cannot be cut into its blocks.
  private static func fitting(_ format: QuantFormat, _ columns: Int) -> QuantFormat {
    if columns % format.blockSize == 0 { return format }
    let smaller: QuantFormat =
      switch format {
      case .q2_K, .q3_K: .q4_0
      case .q4_K: .q5_0
      case .q5_K: .q5_1
      case .iq4_xs: .iq4_nl
      default: .q8_0
      }
    return columns % smaller.blockSize == 0 ? smaller : .f16
  }
}
