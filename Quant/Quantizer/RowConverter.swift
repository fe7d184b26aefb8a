import OccamCore
import OccamGGUF
import OccamQuantFormats
import Synchronization

/// Decodes and encodes the rows of a tensor on all threads, slab by slab.
final class RowConverter {
  private let file: GGUFFile
  private let team: WorkerTeam
  /// What stopped a conversion. The writer's own error type has no word for it.
  private(set) var failure: QuantizeError?

  init(_ file: GGUFFile, _ team: WorkerTeam) {
    self.file = file
    self.team = team
  }

  func produce(_ tensor: PlannedTensor, slabBytes: Int, into sink: GGUFSink) throws(GGUFError) {
    let source = file.bytes(tensor.info)
    guard let conversion = tensor.conversion, let base = source.baseAddress else { return try sink.write(source) }
    // The plan and the parser have checked that rows hold whole blocks and that sizes fit.
    let columns = tensor.info.dimensions.first ?? 1
    let rows = tensor.info.elementCount / columns
    let sourceStride = columns / conversion.from.blockSize * conversion.from.blockBytes
    let targetStride = columns / conversion.to.blockSize * conversion.to.blockBytes
    let slabRows = min(rows, max(slabBytes / targetStride, team.threads))
    let encoded = AlignedBuffer<UInt8>(count: slabRows * targetStride, zeroed: false)
    let decoded = AlignedBuffer<Float>(count: team.threads * columns, zeroed: false)
    for first in stride(from: 0, to: rows, by: slabRows) {
      let slab = min(slabRows, rows - first)
      let spoilt = Atomic<Int>(.max)
      let target = UnsafeMutableRawPointer(encoded.pointer)
      team.parallel(slab, grain: max(4096 / columns, 1)) { range, worker in
        let numbers = decoded.pointer + worker * columns
        for row in range {
          let (from, to) = (base + (first + row) * sourceStride, target + row * targetStride)
          conversion.from.decode(from, count: columns, into: numbers)
          conversion.to.encode(numbers, count: columns, into: to)
          let finite = QuantFormat.f32.isFinite(numbers, count: columns) && conversion.to.isFinite(to, count: columns)
          if !finite { spoilt.min(first + row, ordering: .relaxed) }
        }
      }
      let row = spoilt.load(ordering: .relaxed)
      if row != .max { throw refuse(row, tensor, conversion, base + row * sourceStride, columns) }
      try sink.write(UnsafeRawBufferPointer(start: target, count: slab * targetStride))
    }
  }

  private func refuse(
    _ row: Int, _ tensor: PlannedTensor, _ conversion: PlannedTensor.Conversion, _ source: UnsafeRawPointer,
    _ columns: Int
  ) -> GGUFError {
    let numbers = AlignedBuffer<Float>(count: columns)
    conversion.from.decode(source, count: columns, into: numbers.pointer)
    let isFinite = QuantFormat.f32.isFinite(numbers.pointer, count: columns)
    let problem = isFinite ? QuantizeError.Problem.overflow(row: row, format: conversion.to) : .notFinite(row: row)
    failure = QuantizeError(file.subject, tensor: tensor.info.name, problem)
    return GGUFError(file.subject, .tensor(tensor.info.name), .outOfRange("in row \(row)"))
  }
}
