import OccamCore
import OccamImages
import OccamModels
import OccamPruning

/// One image of a conversation: kept from its encoding on, so that a later question prunes anew from S1 without
/// encoding it again.
struct SessionImage {
  let name: String
  /// The file's bytes, for the keep map.
  let bytes: [UInt8]
  let grid: PatchGrid
  /// Projected rows of S1 in patch order, then the register's: [kept + register x hidden].
  let embeddings: AlignedBuffer<Float>
  let stageOne: KeepList
  let hasRegister: Bool
  /// What `embeddings` was made with; other settings encode anew.
  let settings: StageOneSettings
  /// What the last question kept.
  var report: ImagePruningReport?
}

/// What decides stage I's outcome.
struct StageOneSettings: Equatable {
  let isPruned: Bool
  var lambda1: Float
  let cap: Int?
  let plan: RegisterPlan?

  init(_ settings: PruningSettings?) {
    isPruned = settings != nil
    lambda1 = settings?.lambda1 ?? 0
    cap = settings?.stageOneCap
    plan = settings?.reference == .register ? settings?.plan : nil
  }
}

/// Image file -> pixels -> encoder -> stage I -> projector.
struct ImagePipeline {
  let encoder: any VisionEncoder
  let projector: any Projector
  let compute: Compute

  struct Timings {
    var decode = 0.0
    var encode = 0.0
  }

  static func read(_ source: ImageSource) throws(OccamError) -> [UInt8] {
    switch source {
    case .bytes(let bytes, _): return bytes
    case .file(let path): return try translating(path) { try Files.read(path) }
    }
  }

  func encode(
    name: String, bytes: [UInt8], settings: StageOneSettings, timings: inout Timings
  ) throws(OccamError) -> SessionImage {
    var start = Clock.nanoseconds()
    let photo = try translating(name) { try decodeImage(bytes, subject: name) }
    let prepared = preprocessLLaVA15(
      photo, size: encoder.shape.imageSize, mean: encoder.shape.mean, deviation: encoder.shape.deviation)
    let grid = PatchGrid(of: prepared, patch: encoder.shape.patchSize)
    timings.decode += Clock.milliseconds(since: start)
    start = Clock.nanoseconds()
    let image = try translating(name) {
      try compute.team.pass {
        let encoded = try encoder.encode(
          prepared, request: EncoderRequest(wantsScores: settings.isPruned, register: settings.plan), compute: compute,
          observer: nil)
        return project(encoded, name: name, bytes: bytes, grid: grid, settings: settings)
      }
    }
    timings.encode += Clock.milliseconds(since: start)
    return image
  }

  /// Stage I, then only what survives it through the projector.
  func project(
    _ encoded: EncodedImage, name: String, bytes: [UInt8], grid: PatchGrid, settings: StageOneSettings
  ) -> SessionImage {
    let keep = stageOne(encoded, settings)
    let source = encoded.rows
    let rows = keep.kept + (encoded.hasRegister ? [encoded.patches] : [])
    let gathered = compute.view(.patches, rows: rows.count, columns: encoded.hidden)
    for (target, row) in rows.enumerated() {
      gathered.row(target).update(from: source.row(row), count: encoded.hidden)
    }
    let embeddings = AlignedBuffer<Float>(count: rows.count * projector.outputs, zeroed: false)
    projector.project(
      gathered, into: MatrixView(embeddings, rows: rows.count, columns: projector.outputs), compute: compute)
    return SessionImage(
      name: name, bytes: bytes, grid: grid, embeddings: embeddings, stageOne: keep,
      hasRegister: encoded.hasRegister, settings: settings)
  }

  private func stageOne(_ encoded: EncodedImage, _ settings: StageOneSettings) -> KeepList {
    guard settings.isPruned, let scores = encoded.scores else { return .everything(encoded.patches) }
    return StageOne.keep(ImagePipeline.tokenScores(encoded, scores), lambda: settings.lambda1, cap: settings.cap)
  }

  /// The encoder's scores as stage I compares them: against the register's, or against their own mean.
  static func tokenScores(_ encoded: EncodedImage, _ scores: [Float]) -> TokenScores {
    let visual = Array(scores.prefix(encoded.patches))
    guard encoded.hasRegister, let register = scores.last else { return TokenScores(scores: visual) }
    return TokenScores(scores: visual, reference: register, kind: .register)
  }
}
