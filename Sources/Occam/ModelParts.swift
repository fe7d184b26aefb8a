import OccamCore
import OccamMatmul
import OccamModels
import OccamPruning
import OccamTokenizer

/// What a loaded model consists of; see `VisionLanguageModel.parts`.
final class ModelParts: Sendable {
  let decoder: any TextDecoder
  let encoder: (any VisionEncoder)?
  let projector: (any Projector)?
  let tokenizer: Tokenizer
  let chat: ChatFormat
  let chatStops: [String]
  let sidecar: Sidecar?
  let kernels: KernelSet
  let team: WorkerTeam

  init(
    decoder: any TextDecoder, encoder: (any VisionEncoder)?, projector: (any Projector)?, tokenizer: Tokenizer,
    chat: ChatFormat, chatStops: [String], sidecar: Sidecar?, kernels: KernelSet, team: WorkerTeam
  ) {
    self.decoder = decoder
    self.encoder = encoder
    self.projector = projector
    self.tokenizer = tokenizer
    self.chat = chat
    self.chatStops = chatStops
    self.sidecar = sidecar
    self.kernels = kernels
    self.team = team
  }
}

/// Says each warning once, however many sessions a model has.
final class SaidOnce: Sendable {
  private let said = Guarded<Set<String>>([])

  func warnOnce(_ note: String) {
    if said.withLock({ $0.insert(note).inserted }) { Log.warning(note) }
  }
}
