import OccamCore
import OccamMatmul
import OccamModels
import OccamPruning
import OccamTokenizer
import Synchronization

/// What a loaded model consists of; see `VisionLanguageModel.parts`.
final class ModelParts: Sendable {
  private static let made = Atomic<Int>(0)
  /// No other model of this process has it, not even one made after this is gone.
  let number = ModelParts.made.add(1, ordering: .relaxed).newValue
  let decoder: any TextDecoder
  let vision: VisionSource?
  let tokenizer: Tokenizer
  let chat: ChatFormat
  let chatStops: [String]
  let sidecar: Sidecar?
  let kernels: KernelSet
  let team: WorkerTeam
  let facts: ModelFacts
  let grammars: GrammarStore
  let batcher: DecodeBatcher
  let draft: DraftModel?

  init(
    decoder: any TextDecoder, vision: VisionSource?, tokenizer: Tokenizer, chat: ChatFormat,
    chatStops: [String], sidecar: Sidecar?, kernels: KernelSet, team: WorkerTeam, facts: ModelFacts,
    draft: DraftModel?
  ) {
    self.decoder = decoder
    self.vision = vision
    self.tokenizer = tokenizer
    self.chat = chat
    self.chatStops = chatStops
    self.sidecar = sidecar
    self.kernels = kernels
    self.team = team
    self.facts = facts
    self.draft = draft
    grammars = GrammarStore(tokenizer)
    batcher = DecodeBatcher(decoder: decoder, kernels: kernels, team: team)
  }
}

/// Says each warning once, however many sessions a model has.
final class SaidOnce: Sendable {
  private let said = Guarded<Set<String>>([])

  func warnOnce(_ note: String) {
    if said.withLock({ $0.insert(note).inserted }) { Log.warning(note) }
  }
}
