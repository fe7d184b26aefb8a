import OccamGGUF

/// What one picture may cost, whatever a file's header asks for. Far beyond the largest published processor, whose
/// 37 tiles of 384 pixels hold 27,000 patches (LLaVA-OneVision).
enum TileLimits {
  static let tiles = 256
  /// Of all tiles; their features are in memory together.
  static let patches = 1 << 16
  /// Of all tiles, in the encoder's pixels: the canvas that is cut.
  static let pixels = 1 << 25

  /// - Parameters:
  ///   - tiles: the most that any picture is cut into, overview included.
  ///   - key: what asks for them.
  /// - Throws: `ModelError` naming the key.
  static func check(_ tiles: Int, of shape: VisionShape, key: String, _ file: GGUFFile) throws {
    func limit(_ count: Int, _ limit: Int, _ what: String) throws {
      guard count <= limit else {
        throw ModelError(
          .badValue, file.subject,
          "\(key) cuts a picture into up to \(tiles) tiles: \(count) \(what) are over the limit of \(limit)")
      }
    }
    try limit(tiles, TileLimits.tiles, "tiles")
    try limit(tiles * shape.patches, patches, "patches")
    try limit(tiles * shape.imageSize * shape.imageSize, pixels, "pixels")
  }
}
