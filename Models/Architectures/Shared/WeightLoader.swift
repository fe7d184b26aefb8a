import OccamCore
import OccamGGUF
import OccamMatmul
import OccamQuantFormats

/// Where llama.cpp departs from the trained model, for comparing numerics with that runtime: its reading of LLaVA's vision
/// files since its graph refactor #13321, which its issues 25814 and 25817 describe as two defects.
package struct PeerDifferences: OptionSet, Sendable {
  package let rawValue: Int
  package init(rawValue: Int) { self.rawValue = rawValue }

  /// The class token comes behind the patches although the position table and the selected rows assume it first. Trained:
  /// row 0 with position 0, patch i has position i + 1 (Hugging Face transformers, CLIPVisionModel).
  package static let classTokenIsLast = PeerDifferences(rawValue: 1)
  /// Without an explicit feature layer, one stored layer fewer runs.
  package static let skipsLastLayer = PeerDifferences(rawValue: 2)
}

/// Takes weights out of a GGUF file by name, type and shape, packs them for the chosen kernels, and gives the mapped
/// original back to the system tensor by tensor, so that no weight stands in memory twice.
package final class WeightLoader {
  package let file: GGUFFile
  package let kernels: KernelSet
  package let team: WorkerTeam
  /// Bytes of all weights packed or copied so far.
  package private(set) var bytes = 0
  /// Float matrices are requantised to this format while loading; nil: as stored.
  package var requantizesFloats: QuantFormat?
  /// Names, shapes and formats of what is asked for are checked and its bytes counted, but no matrix is read: what is made
  /// of this loader's weights must not run. The code that loads a family is so what checks a file for it.
  package let isDry: Bool
  /// Bytes of planned tables whose rows are read from the mapped file, and that are not packed too.
  package var mappedBytes: Int { mapped.reduce(0) { $0 + (taken.contains($1.key) ? 0 : $1.value) } }
  /// What is computed as llama.cpp does although the model was trained otherwise.
  package var reproduces: PeerDifferences = []
  private let progress: (Double) -> Void
  private let total: Int
  private var done = 0
  private let arena: MemoryArena
  /// Up to where each part of the file has been asked for.
  private var askedFor: [Int: Int] = [:]
  /// Asked before anything is packed.
  private let store: (any PackedWeightStore)?
  /// All matrices so far, for the store.
  private var packed: [PackedWeight] = []
  /// Names of tensors packed or copied.
  private var taken: Set<String> = []
  /// Tables that stay in the file, and their bytes.
  private var mapped: [String: Int] = [:]

  /// - Parameters:
  ///   - store: what was packed from this file with these kernels before; see `keepPacked`.
  ///   - progress: called with the share of the file's tensor bytes taken so far, 0...1.
  package init(
    file: GGUFFile, kernels: KernelSet, team: WorkerTeam, isDry: Bool = false,
    store: (any PackedWeightStore)? = nil, progress: @escaping (Double) -> Void = { _ in }
  ) {
    self.file = file
    self.isDry = isDry
    self.store = store
    self.kernels = kernels
    self.team = team
    self.progress = progress
    arena = MemoryArena(team: team)
    total = file.tensors.reduce(0) { $0 + $1.byteRange.count }
  }

  /// A dry one: for checking a file, and for what its weights take.
  package static func dry(_ file: GGUFFile) -> WeightLoader {
    WeightLoader(
      file: file, kernels: KernelSet.available()[0], team: WorkerTeam(threads: 1), isDry: true)
  }

  package func has(_ name: String) -> Bool { file.tensor(name) != nil }

  /// The share of the file's tensor bytes taken so far, 0...1.
  package var share: Double { min(Double(done) / Double(max(total, 1)), 1) }

  /// Offers all that was packed to the store, once everything is loaded that will be.
  package func keepPacked() { store?.keep(packed, team: team) }

  /// A weight matrix of shape [rows (outputs) x columns (inputs)]; ggml dimensions [columns, rows].
  package func matrix(_ name: String, rows: Int, columns: Int) throws -> PackedMatrix {
    let (info, format) = try require(name, [columns, rows])
    return try pack(info, format, rows: rows, columns: columns)
  }

  /// A matrix that the file stores with other dimensions of the same content, e.g. a convolution's
  /// [width, height, channels, outputs] as [outputs x width * height * channels].
  package func matrix(_ name: String, rows: Int, flattening dimensions: [Int]) throws -> PackedMatrix {
    let (info, format) = try require(name, dimensions + [rows])
    return try pack(info, format, rows: rows, columns: dimensions.reduce(1, *))
  }

  /// The sum of several matrices that the file stores with other dimensions of the same content, as
  /// `matrix(_:rows:flattening:)`. It passes through floats.
  package func summedMatrix(_ names: [String], rows: Int, flattening dimensions: [Int]) throws -> PackedMatrix {
    let columns = dimensions.reduce(1, *)
    let found = try names.map { try require($0, dimensions + [rows]) }
    if isDry {
      let matrix = try PackedMatrix(
        measuring: rows, columns: columns, format: target(.f32), stored: .f32, kernels: kernels)
      for (index, (info, _)) in found.enumerated() { account(info, index == 0 ? matrix.byteCount : 0) }
      return matrix
    }
    let packed = try pack(names.joined(separator: " + "), of: found[0].0, .f32, rows: rows, columns: columns) { pack in
      let sum = AlignedBuffer<Float>(count: rows * columns)
      let part = AlignedBuffer<Float>(count: rows * columns, zeroed: false)
      for (info, format) in found {
        withBytes(info) { stored in
          if let source = stored.baseAddress { format.decode(source, count: rows * columns, into: part.pointer) }
        }
        for index in 0..<rows * columns { sum.pointer[index] += part.pointer[index] }
      }
      return try pack(UnsafeRawBufferPointer(sum.buffer))
    }
    for (index, (info, _)) in found.enumerated() { account(info, index == 0 ? packed.byteCount : 0) }
    return packed
  }

  /// A matrix that the file stores transposed: ggml dimensions [rows, columns]. It passes through floats.
  package func transposedMatrix(_ name: String, rows: Int, columns: Int) throws -> PackedMatrix {
    let (info, format) = try require(name, [rows, columns])
    guard !isDry else { return try measured(info, .f32, rows: rows, columns: columns) }
    let packed = try pack("\(name) transposed", of: info, .f32, rows: rows, columns: columns) { pack in
      let stored = AlignedBuffer<Float>(count: rows * columns, zeroed: false)
      withBytes(info) { bytes in
        if let source = bytes.baseAddress { format.decode(source, count: rows * columns, into: stored.pointer) }
      }
      let turned = AlignedBuffer<Float>(count: rows * columns, zeroed: false)
      for row in 0..<rows {
        for column in 0..<columns { turned.pointer[row * columns + column] = stored.pointer[column * rows + row] }
      }
      return try pack(UnsafeRawBufferPointer(turned.buffer))
    }
    account(info, packed.byteCount)
    return packed
  }

  /// The matrices of `count` experts that the file stacks, [part][expert]: ggml dimensions [columns, sum of rows, count].
  /// - Parameter rows: of the parts that follow each other in each expert, e.g. gate and up.
  package func experts(_ name: String, count: Int, rows: [Int], columns: Int) throws -> [[PackedMatrix]] {
    let (info, format) = try require(name, [columns, rows.reduce(0, +), count])
    return try stack(info, format, count: count, rows: rows, columns: columns)
  }

  /// A matrix whose rows belong to `parts` layers, `rows` to each.
  /// - Parameter run: so many rows each, the parts take turns, and `rows` is a multiple; nil: all rows of a part.
  package func splitMatrix(
    _ name: String, rows: Int, parts: Int, columns: Int, alternating run: Int? = nil
  ) throws -> [PackedMatrix] {
    let (info, format) = try require(name, [columns, rows * parts])
    guard let run, !isDry else {
      let all = Array(repeating: rows, count: parts)
      return try stack(info, format, count: 1, rows: all, columns: columns).map { $0[0] }
    }
    let packed = try withBytes(info) { stored in
      try (0..<parts).map { part in
        let name = "\(name) part \(part) of \(parts) by \(run)"
        return try pack(name, of: info, format, rows: rows, columns: columns) { pack in
          let own = WeightLoader.gathered(stored, of: rows * parts, part, parts, run: run)
          return try pack(UnsafeRawBufferPointer(own.buffer))
        }
      }
    }
    account(info, packed.reduce(0) { $0 + $1.byteCount })
    return packed
  }

  private func stack(
    _ info: GGUFTensorInfo, _ format: QuantFormat, count: Int, rows: [Int], columns: Int
  ) throws -> [[PackedMatrix]] {
    let all = rows.reduce(0, +)
    func each(_ matrix: (_ first: Int, _ rows: Int) throws -> PackedMatrix) rethrows -> [[PackedMatrix]] {
      var before = 0
      return try rows.map { part in
        defer { before += part }
        return try (0..<count).map { try matrix($0 * all + before, part) }
      }
    }
    let stacks =
      isDry
      ? try each { _, rows in
        try PackedMatrix(
          measuring: rows, columns: columns, format: target(format), stored: format, kernels: kernels)
      }
      : try withBytes(info) { stored in
        try each { first, rows in
          let part = stored[first * info.bytesPerRow..<(first + rows) * info.bytesPerRow]
          return try pack("\(info.name) from \(first)", of: info, format, rows: rows, columns: columns) { pack in
            try pack(UnsafeRawBufferPointer(rebasing: part))
          }
        }
      }
    account(info, stacks.joined().reduce(0) { $0 + $1.byteCount })
    return stacks
  }

  /// The rows of one part, of `rows` in all, where parts take turns.
  private static func gathered(
    _ stored: UnsafeRawBufferPointer, of rows: Int, _ part: Int, _ parts: Int, run: Int
  ) -> AlignedBuffer<UInt8> {
    let size = stored.count / rows * run
    let result = AlignedBuffer<UInt8>(count: stored.count / parts, zeroed: false)
    for turn in 0..<result.count / size {
      let source = stored[(turn * parts + part) * size..<(turn * parts + part + 1) * size]
      UnsafeMutableRawBufferPointer(result.buffer)[turn * size..<(turn + 1) * size].copyBytes(from: source)
    }
    return result
  }

  private func pack(_ info: GGUFTensorInfo, _ format: QuantFormat, rows: Int, columns: Int) throws -> PackedMatrix {
    guard !isDry else { return try measured(info, format, rows: rows, columns: columns) }
    let packed = try pack(info.name, of: info, format, rows: rows, columns: columns) { pack in
      try withBytes(info) { try pack($0) }
    }
    account(info, packed.byteCount)
    return packed
  }

  private typealias Packer = (UnsafeRawBufferPointer) throws -> PackedMatrix

  /// What the store has, else what `source` gives to the packer, in rows of `format`.
  /// - Parameters:
  ///   - name: of these rows: the tensor's, and which part of it or what was made of it.
  ///   - info: the tensor, or the first of several.
  private func pack(
    _ name: String, of info: GGUFTensorInfo, _ format: QuantFormat, rows: Int, columns: Int,
    _ source: (Packer) throws -> PackedMatrix
  ) throws -> PackedMatrix {
    let wanted = target(format)
    if let store {
      let kept = try PackedMatrix(
        rows: rows, columns: columns, format: wanted, stored: format, limitsSums: true, kernels: kernels
      ) { store.bytes("\(name), \($0)", count: $1) }
      if let kept { return remember(name, kept) }
    }
    readAhead(info)
    let packed = try source { stored in
      try PackedMatrix(
        rows: rows, columns: columns, format: wanted, source: stored, stored: format, limitsSums: true,
        kernels: kernels, team: team, arena: arena)
    }
    return remember(name, packed)
  }

  private func remember(_ name: String, _ matrix: PackedMatrix) -> PackedMatrix {
    if store != nil, let bytes = matrix.bytes {
      packed.append(PackedWeight(name: "\(name), \(matrix.variant)", bytes: bytes))
    }
    return matrix
  }

  private func measured(
    _ info: GGUFTensorInfo, _ format: QuantFormat, rows: Int, columns: Int
  ) throws -> PackedMatrix {
    let matrix = try PackedMatrix(
      measuring: rows, columns: columns, format: target(format), stored: format, kernels: kernels)
    account(info, matrix.byteCount)
    return matrix
  }

  /// What a matrix stored as `format` is multiplied as.
  private func target(_ format: QuantFormat) -> QuantFormat {
    if let wanted = requantizesFloats, !format.isQuantized { return wanted }
    return format
  }

  /// The tensor's stored bytes, which are valid during `body`: the mapped file's, or made for the occasion.
  private func withBytes<R>(_ info: GGUFTensorInfo, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    guard let generator = file.generator else { return try body(file.bytes(info)) }
    let made = AlignedBuffer<UInt8>(count: info.byteRange.count, zeroed: false)
    let rowBytes = info.bytesPerRow
    team.parallel(info.rowCount, grain: max(1, (1 << 18) / rowBytes)) { rows, _ in
      generator.write(info, rows: rows, into: UnsafeMutableRawPointer(made.pointer) + rows.lowerBound * rowBytes)
    }
    return try body(UnsafeRawBufferPointer(made.buffer))
  }

  /// Has the system read what follows the tensor while this one is packed: files hold tensors about in the order in which
  /// families ask for them.
  private func readAhead(_ info: GGUFTensorInfo) {
    let (start, end) = (info.byteRange.lowerBound, info.byteRange.upperBound + WeightLoader.aheadBytes)
    let asked = askedFor[info.part] ?? 0
    let isFar = asked < start || asked > end
    // Half a window at a time: small tensors ask for nothing.
    guard isFar || asked <= end - WeightLoader.aheadBytes / 2 else { return }
    file.willRead(isFar ? start..<end : asked..<end, part: info.part)
    askedFor[info.part] = end
  }

  /// A tenth of a second of a fast disk.
  private static let aheadBytes = 64 << 20

  /// A vector (norm weight, bias) as floats.
  package func vector(_ name: String, count: Int) throws -> AlignedBuffer<Float> {
    let (info, format) = try require(name, [count])
    return decoded(info, format, count)
  }

  /// A tensor of one number.
  package func number(_ name: String) throws -> Float {
    let buffer = try vector(name, count: 1)
    // The address alone does not keep the buffer.
    return withExtendedLifetime(buffer) { buffer.pointer[0] }
  }

  package func optionalVector(_ name: String, count: Int) throws -> AlignedBuffer<Float>? {
    has(name) ? try vector(name, count: count) : nil
  }

  /// A small table as floats, [rows x columns]; of a dry loader zeros.
  package func table(_ name: String, rows: Int, columns: Int) throws -> AlignedBuffer<Float> {
    let (info, format) = try require(name, [columns, rows])
    guard !isDry else {
      let empty = AlignedBuffer<Float>(count: rows * columns)
      account(info, empty.byteCount)
      return empty
    }
    return decoded(info, format, rows * columns)
  }

  /// The rows of an embedding table, decoded one by one when asked for; the file stays mapped, only touched pages are
  /// resident.
  /// - Parameters:
  ///   - tables: as many of `rows` rows each, one behind the other, in a dimension of their own.
  ///   - isPlanned: whether memory is to be planned for the whole table.
  package func embedding(
    _ name: String, rows: Int, columns: Int, tables: Int = 1, isPlanned: Bool = true
  ) throws -> EmbeddingTable {
    let (info, format) = try require(name, [columns, rows, tables])
    if isPlanned { mapped[name] = info.byteRange.count }
    return EmbeddingTable(file: file, info: info, format: format, rows: rows * tables, columns: columns)
  }

  private func decoded(_ info: GGUFTensorInfo, _ format: QuantFormat, _ count: Int) -> AlignedBuffer<Float> {
    let buffer = AlignedBuffer<Float>(count: count, zeroed: false)
    withBytes(info) { stored in
      if let source = stored.baseAddress { format.decode(source, count: count, into: buffer.pointer) }
    }
    account(info, buffer.byteCount)
    return buffer
  }

  private func account(_ info: GGUFTensorInfo, _ size: Int) {
    bytes += size
    taken.insert(info.name)
    done += info.byteRange.count
    file.release(info)
    progress(share)
  }

  /// Trailing dimensions of 1 are the same shape: ggml drops them.
  private func require(_ name: String, _ dimensions: [Int]) throws -> (GGUFTensorInfo, QuantFormat) {
    guard let info = file.tensor(name) else {
      throw ModelError(.missingTensor, file.subject, "tensor '\(name)' is missing")
    }
    guard trimmed(info.dimensions) == trimmed(dimensions) else {
      throw ModelError(
        .wrongShape, file.subject, "tensor '\(name)' has shape \(info.dimensions), expected \(dimensions)")
    }
    guard let format = QuantFormat(rawValue: info.type.rawValue) else {
      let known = QuantFormat.allCases.map(\.name).joined(separator: ", ")
      throw ModelError(
        .unsupportedFormat, file.subject,
        "tensor '\(name)' has the format \(info.type.name), which Occam does not run (it runs \(known))")
    }
    return (info, format)
  }

  private func trimmed(_ dimensions: [Int]) -> [Int] {
    var result = dimensions
    while result.count > 1, result.last == 1 { result.removeLast() }
    return result
  }
}
