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
  /// The selector's; nil without pruning.
  let method: String?
  let lambda1: Float
  let cap: Int?
  let plan: RegisterPlan?

  init(_ selector: (any VisualTokenSelector)?) {
    method = selector?.name
    lambda1 = selector?.settings.lambda1 ?? 0
    cap = selector?.settings.stageOneCap
    plan = selector?.register
  }
}

/// An image behind the encoder, before anything was dropped: several selections can start from it.
package struct EncodedPhoto: Sendable {
  let name: String
  let bytes: [UInt8]
  let grid: PatchGrid
  let encoded: EncodedImage
  /// Milliseconds.
  package let decodeTime: Double
  package let encodeTime: Double

  /// Visual tokens, the register not counted.
  package var tokens: Int { encoded.patches }
  package var hasRegister: Bool { encoded.hasRegister }
  /// Stage I scores; nil when the encoder was not asked for them.
  package var scores: TokenScores? { encoded.scores.map { ImagePipeline.tokenScores(encoded, $0) } }
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
    name: String, bytes: [UInt8], selector: (any VisualTokenSelector)?, timings: inout Timings
  ) throws(OccamError) -> SessionImage {
    let photo = try encode(name: name, bytes: bytes, wantsScores: selector != nil, register: selector?.register)
    timings.decode += photo.decodeTime
    timings.encode += photo.encodeTime
    return project(photo, selector: selector, timings: &timings)
  }

  func project(
    _ photo: EncodedPhoto, selector: (any VisualTokenSelector)?, timings: inout Timings
  ) -> SessionImage {
    let start = Clock.nanoseconds()
    defer { timings.encode += Clock.milliseconds(since: start) }
    return project(photo, selector: selector)
  }

  func encode(
    name: String, bytes: [UInt8], wantsScores: Bool, register: RegisterPlan?
  ) throws(OccamError) -> EncodedPhoto {
    let start = Clock.nanoseconds()
    let photo = try translating(name) { try decodeImage(bytes, subject: name) }
    let prepared = preprocessLLaVA15(
      photo, size: encoder.shape.imageSize, mean: encoder.shape.mean, deviation: encoder.shape.deviation)
    let grid = PatchGrid(of: prepared, patch: encoder.shape.patchSize)
    let decodeTime = Clock.milliseconds(since: start)
    let encoded = try translating(name) {
      try compute.team.pass {
        try encoder.encode(
          prepared, request: EncoderRequest(wantsScores: wantsScores, register: register), compute: compute,
          observer: nil)
      }
    }
    return EncodedPhoto(
      name: name, bytes: bytes, grid: grid, encoded: encoded, decodeTime: decodeTime,
      encodeTime: Clock.milliseconds(since: start) - decodeTime)
  }

  /// Stage I, then only what survives it through the projector.
  func project(_ photo: EncodedPhoto, selector: (any VisualTokenSelector)?) -> SessionImage {
    compute.team.pass {
      let keep = stageOne(photo, selector)
      let embeddings = project(photo.encoded, rows: keep.kept + (photo.hasRegister ? [photo.tokens] : []))
      return SessionImage(
        name: photo.name, bytes: photo.bytes, grid: photo.grid, embeddings: embeddings, stageOne: keep,
        hasRegister: photo.hasRegister, settings: StageOneSettings(selector))
    }
  }

  /// Projected rows of an encoder's output, [rows x text width].
  private func project(_ encoded: EncodedImage, rows: [Int]) -> AlignedBuffer<Float> {
    let source = encoded.rows
    let gathered = compute.view(.patches, rows: rows.count, columns: encoded.hidden)
    for (target, row) in rows.enumerated() {
      gathered.row(target).update(from: source.row(row), count: encoded.hidden)
    }
    let embeddings = AlignedBuffer<Float>(count: rows.count * projector.outputs, zeroed: false)
    projector.project(
      gathered, into: MatrixView(embeddings, rows: rows.count, columns: projector.outputs), compute: compute)
    return embeddings
  }

  private func stageOne(_ photo: EncodedPhoto, _ selector: (any VisualTokenSelector)?) -> KeepList {
    guard let selector else { return .everything(photo.tokens) }
    // Kept alive until the selector is done with the view of it.
    var projected: AlignedBuffer<Float>?
    defer { withExtendedLifetime(projected) {} }
    return selector.behindEncoder(
      EncodedTokens(count: photo.tokens, scores: photo.scores) {
        let buffer = projected ?? project(photo.encoded, rows: Array(0..<photo.tokens))
        projected = buffer
        return MatrixView(buffer, rows: photo.tokens, columns: projector.outputs)
      })
  }

  /// The encoder's scores as stage I compares them: against the register's, or against their own mean.
  static func tokenScores(_ encoded: EncodedImage, _ scores: [Float]) -> TokenScores {
    let visual = Array(scores.prefix(encoded.patches))
    guard encoded.hasRegister, let register = scores.last else { return TokenScores(scores: visual) }
    return TokenScores(scores: visual, reference: register, kind: .register)
  }
}
