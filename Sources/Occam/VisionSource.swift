import OccamCore
import OccamGGUF
import OccamModels

/// What a vision model is, whether or not its weights are in memory.
struct VisionFacts: Sendable {
  let plan: VisionPlan
  let chat: ChatDefaults
  /// Width of an image's embeddings.
  let outputs: Int
  /// Planes of the encoder that join the first text layers (DeepStack).
  let planes: Int
  let weightBytes: Int

  init(_ vision: VisionModel) {
    plan = vision.plan
    chat = vision.chat
    outputs = vision.projector.outputs
    planes = vision.planeProjectors.count
    weightBytes = vision.weightBytes
  }
}

/// A vision model's weights: always there, or only while somebody uses them (`ModelOptions.lowMemory`).
final class VisionSource: Sendable {
  let facts: VisionFacts
  /// Whether the weights are always in memory.
  let isKept: Bool
  private let load: @Sendable () throws(OccamError) -> VisionModel
  private let state: Guarded<State>
  /// Held while weights are loaded, so that two sessions do not load them twice. Apart from `state`: loading waits for the
  /// worker team, and whoever has the team may ask what is loaded.
  private let loading = Guarded(())

  /// The weights, as long as somebody has it.
  private final class Loaded: Sendable {
    let vision: VisionModel
    init(_ vision: VisionModel) { self.vision = vision }
  }

  private struct State {
    var kept: Loaded?
    weak var lent: Loaded?
  }

  /// One that stays in memory.
  init(_ vision: VisionModel) {
    facts = VisionFacts(vision)
    isKept = true
    load = { () throws(OccamError) in vision }
    state = Guarded(State(kept: Loaded(vision)))
  }

  /// - Parameter load: makes the weights that `facts` describe; called whenever they are wanted and not there.
  init(_ facts: VisionFacts, load: @escaping @Sendable () throws(OccamError) -> VisionModel) {
    self.facts = facts
    isKept = false
    self.load = load
    state = Guarded(State())
  }

  /// Bytes that are in memory at all times.
  var keptBytes: Int { isKept ? facts.weightBytes : 0 }

  /// Whether the weights are in memory now.
  var isLoaded: Bool { present != nil }

  /// One use of the weights: they are fetched when they are first asked for, shared with other uses at the same time, and
  /// given back when the last of these is gone.
  final class Use {
    private let source: VisionSource
    private var loaded: Loaded?

    fileprivate init(_ source: VisionSource) { self.source = source }

    /// Must not be asked for the first time inside a pass of the worker team, which loading needs.
    var vision: VisionModel {
      get throws(OccamError) {
        if let loaded { return loaded.vision }
        let loaded = try source.loaded()
        self.loaded = loaded
        return loaded.vision
      }
    }
  }

  func use() -> Use { Use(self) }

  private func loaded() throws(OccamError) -> Loaded {
    if let loaded = present { return loaded }
    return try loading.withLock { _ throws(OccamError) in
      if let loaded = present { return loaded }
      let loaded = Loaded(try load())
      state.withLock { $0.lent = loaded }
      return loaded
    }
  }

  private var present: Loaded? { state.withLock { $0.kept ?? $0.lent } }
}
