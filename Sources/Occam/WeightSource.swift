import Glibc
import OccamCore
import OccamGGUF
import OccamMatmul
import OccamModels
import OccamPackCache
import OccamQuantFormats

/// Loads a model's weights for its kernels, from the pack cache where they are there.
struct WeightSource: Sendable {
  let options: ModelOptions
  let kernels: KernelSet
  let team: WorkerTeam
  private let cache: PackCache?

  init(_ options: ModelOptions, _ kernels: KernelSet, _ team: WorkerTeam) {
    self.options = options
    self.kernels = kernels
    self.team = team
    cache = options.packCache.map { PackCache(folder: $0, byteLimit: options.packCacheBytes) }
  }

  /// What there is to say of the cache since the last call.
  func takeNotes() -> [String] { cache?.takeNotes() ?? [] }

  /// - Parameter progress: called with the share of the file's tensor bytes taken so far, 0...1.
  func decoder(_ file: GGUFFile, _ progress: @escaping (Double) -> Void) throws(OccamError) -> any TextDecoder {
    let loader = loader(file, .text, progress)
    let decoder = try translating(file.subject) { try ModelRegistry.textDecoder(loader) }
    loader.keepPacked()
    return decoder
  }

  /// - Parameter progress: called with the share of the file's tensor bytes taken so far, 0...1.
  func vision(_ file: GGUFFile, _ progress: @escaping (Double) -> Void = { _ in }) throws(OccamError) -> VisionModel {
    let loader = loader(file, .vision, progress)
    let vision = try vision(file, loader)
    loader.keepPacked()
    return vision
  }

  /// What the file says of its vision model, checked like the model itself.
  func visionFacts(_ file: GGUFFile) throws(OccamError) -> VisionFacts { VisionFacts(try vision(file, .dry(file))) }

  private func vision(_ file: GGUFFile, _ loader: WeightLoader) throws(OccamError) -> VisionModel {
    loader.requantizesFloats = options.encoderType.format
    loader.reproduces = options.peerDifferences ?? options.visionLayout.differences
    return try translating(file.subject) {
      let vision = try ModelRegistry.vision(loader)
      return vision.planned(try vision.plan.limited(to: options.imageTokens))
    }
  }

  private enum Part: String { case text, vision }

  private func loader(_ file: GGUFFile, _ part: Part, _ progress: @escaping (Double) -> Void) -> WeightLoader {
    WeightLoader(
      file: file, kernels: kernels, team: team, store: cache.flatMap { store(file, part, $0) }, progress: progress)
  }

  private func store(_ file: GGUFFile, _ part: Part, _ cache: PackCache) -> (any PackedWeightStore)? {
    guard let identity = file.identity, let path = file.partPaths.first else { return nil }
    let floats = part == .vision ? options.encoderType.format : nil
    let variant = [
      "part \(part.rawValue)", "layout \(PackedMatrix.layoutVersion)", "kernels \(kernels.name)",
      "floats \(floats?.name ?? "stored")",
    ]
    return cache.store(PackKey(path: Files.resolved(path), identity: identity, variant: variant))
  }
}
