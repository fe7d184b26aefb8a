import Glibc
import OccamCore
import OccamGGUF
import OccamQuantFormats

/// Converts the tensors of a GGUF file as planned. Holds one slab of rows at a time, whatever the size of the model.
package struct Quantizer {
  package let file: GGUFFile
  package let plan: QuantizationPlan
  private let options: QuantizationOptions
  /// Encoded bytes gathered between two writes.
  private let slabBytes: Int

  /// GGML_QNT_VERSION: the version of the block layouts.
  private static let formatVersion: UInt32 = 2

  /// Opens the input and makes the plan; nothing is written.
  /// - Parameter slabBytes: encoded bytes gathered between two writes.
  package init(path: String, _ options: QuantizationOptions, slabBytes: Int = 4 << 20) throws(QuantizeError) {
    do throws(GGUFError) {
      file = try GGUFFile(path: path)
    } catch {
      throw QuantizeError(path, .file(error))
    }
    self.options = options
    self.slabBytes = slabBytes
    plan = try QuantizationPlan(for: file, options)
  }

  /// Writes the output, whole or not at all.
  /// - Parameter progress: called after each tensor, in file order, on the calling thread.
  package func write(
    to path: String, team: WorkerTeam, progress: @escaping (_ index: Int, _ tensor: PlannedTensor) -> Void
  ) throws(QuantizeError) {
    guard !file.partPaths.contains(where: { isSameFile($0, path) }) else { throw QuantizeError(path, .outputIsInput) }
    let converter = RowConverter(file, team)
    do throws(GGUFError) {
      var writer = GGUFWriter(alignment: file.alignment)
      copyMetadata(to: &writer)
      for (index, tensor) in plan.tensors.enumerated() {
        let format = tensor.conversion.map { $0.to.rawValue } ?? tensor.info.type.rawValue
        guard let type = GGMLType(rawValue: format) else {
          throw GGUFError(path, .tensor(tensor.info.name), .unknownTensorType(format))
        }
        try writer.add(
          tensor: tensor.info.name, dimensions: tensor.info.dimensions, type: type, byteCount: tensor.byteCount
        ) { sink throws(GGUFError) in
          try converter.produce(tensor, slabBytes: slabBytes, into: sink)
          file.release(tensor.info)
          progress(index, tensor)
        }
      }
      try writer.write(to: path)
    } catch {
      throw converter.failure ?? QuantizeError(path, .file(error))
    }
  }

  /// Everything but what described the parts of a split model, with the new file type.
  private func copyMetadata(to writer: inout GGUFWriter) {
    for key in file.metadata.keys where !key.hasPrefix("split.") {
      if let value = file.metadata[key] { writer.set(key, value) }
    }
    writer.set("general.quantization_version", .uint32(Quantizer.formatVersion))
    writer.set("general.file_type", .uint32(options.type.fileType))
  }

  private func isSameFile(_ a: String, _ b: String) -> Bool {
    var (first, second) = (stat(), stat())
    guard stat(a, &first) == 0, stat(b, &second) == 0 else { return false }
    return first.st_dev == second.st_dev && first.st_ino == second.st_ino
  }
}
