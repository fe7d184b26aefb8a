import OccamCore
import OccamImages
import OccamModels
import OccamPruning

/// What vision encoders made of pictures, for sessions that share it: a picture shown again, in this conversation or in
/// another, costs no encoding. The least recently used go first.
///
/// Pictures count as the same if their files are, byte by byte, which costs nothing to see, or if their pixels are, which
/// is seen once they are decoded: clients write the same photo anew with every request.
public final class ImageCache: Sendable {
  public struct Counts: Sendable {
    public var hits = 0
    public var misses = 0
    public var images = 0
    public var bytes = 0
  }

  /// What decides an encoding besides the file.
  struct Settings: Equatable {
    let model: Int
    let reading: ImageReading
    let score: StageOneScore?
    let register: RegisterPlan?
  }

  /// Of decoded pixels. Seeded anew in every process: nobody can make pictures that collide.
  struct PixelHash: Equatable {
    let width: Int
    let height: Int
    private let words: SIMD2<Int>

    init(_ image: Image) {
      width = image.width
      height = image.height
      var words = SIMD2<Int>()
      for index in 0..<2 {
        var hasher = Hasher()
        hasher.combine(index)
        image.pixels.withUnsafeBytes { hasher.combine(bytes: $0) }
        words[index] = hasher.finalize()
      }
      self.words = words
    }
  }

  private struct Entry: Sendable {
    let hash: Int
    let pixels: PixelHash
    let settings: Settings
    let photo: EncodedPhoto
    let bytes: Int
  }

  private struct State {
    /// The most recently used last.
    var entries: [Entry] = []
    var counts = Counts()

    /// The entry at `index` becomes the most recently used one.
    mutating func hit(_ index: Int) -> EncodedPhoto {
      counts.hits += 1
      let entry = entries.remove(at: index)
      entries.append(entry)
      return entry.photo
    }
  }

  public let byteLimit: Int
  private let state = Guarded(State())

  /// - Parameter byteLimit: of the encoders' features and the pictures' files together.
  public init(byteLimit: Int) { self.byteLimit = max(byteLimit, 0) }

  public var counts: Counts { state.withLock { $0.counts } }

  public func removeAll() {
    state.withLock { state in
      state.entries = []
      state.counts.images = 0
      state.counts.bytes = 0
    }
  }

  func find(_ bytes: [UInt8], _ settings: Settings) -> EncodedPhoto? {
    let hash = ImageCache.hash(bytes)
    return state.withLock { state in
      guard
        let index = state.entries.lastIndex(where: {
          $0.hash == hash && $0.settings == settings && $0.photo.bytes == bytes
        })
      else { return nil }
      return state.hit(index)
    }
  }

  /// - Returns: what was made of another file with the same pixels. Where there is none, it counts as a miss.
  func find(_ pixels: PixelHash, _ settings: Settings) -> EncodedPhoto? {
    state.withLock { state in
      guard let index = state.entries.lastIndex(where: { $0.pixels == pixels && $0.settings == settings }) else {
        state.counts.misses += 1
        return nil
      }
      return state.hit(index)
    }
  }

  func store(_ photo: EncodedPhoto, _ pixels: PixelHash, _ settings: Settings) {
    let bytes = photo.byteCount
    guard bytes <= byteLimit else { return }
    let entry = Entry(
      hash: ImageCache.hash(photo.bytes), pixels: pixels, settings: settings, photo: photo, bytes: bytes)
    state.withLock { state in
      // Two sessions may have encoded it at the same time.
      state.entries.removeAll { $0.pixels == pixels && $0.settings == settings }
      state.entries.append(entry)
      var total = state.entries.reduce(0) { $0 + $1.bytes }
      let dropped = state.entries.prefix { entry in
        guard total > byteLimit else { return false }
        total -= entry.bytes
        return true
      }
      state.entries.removeFirst(dropped.count)
      state.counts.images = state.entries.count
      state.counts.bytes = total
    }
  }

  /// Seeded anew in every process: nobody can make files that collide.
  private static func hash(_ bytes: [UInt8]) -> Int {
    var hasher = Hasher()
    bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
    return hasher.finalize()
  }
}

extension EncodedPhoto {
  var byteCount: Int {
    bytes.count + tiles.reduce(0) { $0 + $1.features.byteCount + $1.planes.reduce(0) { $0 + $1.byteCount } }
  }
}
