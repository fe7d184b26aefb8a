import OccamImages

/// The sizes that pictures are resampled to when they keep their proportions: sides are whole tokens, their product lies
/// in a range. Reference: Hugging Face transformers, `smart_resize` of image_processing_qwen2_vl.py.
package struct ResolutionBudget: Sendable, Equatable {
  /// Side of a token, pixels.
  package let multiple: Int
  package let minimumTokens: Int
  package let maximumTokens: Int

  /// A picture may take so many tokens at most, whatever a file or a user asks for.
  package static let limit = 1 << 14

  package init(multiple: Int, minimumTokens: Int, maximumTokens: Int) {
    precondition(multiple > 0 && minimumTokens > 0 && maximumTokens >= minimumTokens, "ResolutionBudget: no sizes")
    precondition(maximumTokens <= ResolutionBudget.limit, "ResolutionBudget: over the limit")
    self.multiple = multiple
    self.minimumTokens = minimumTokens
    self.maximumTokens = maximumTokens
  }

  /// With a user's range in the place of the family's own; one given bound moves the other if it has to.
  /// - Throws: `ModelError` for an empty range, and above the limit.
  package func limited(to budget: ImageTokenBudget) throws -> ResolutionBudget {
    func check(_ value: Int?, _ name: String) throws {
      guard let value, !(1...ResolutionBudget.limit).contains(value) else { return }
      throw ModelError(.badValue, name, "\(value) image tokens: 1...\(ResolutionBudget.limit) are possible")
    }
    try check(budget.minimum, "image-min-tokens")
    try check(budget.maximum, "image-max-tokens")
    if let minimum = budget.minimum, let maximum = budget.maximum, minimum > maximum {
      throw ModelError(
        .badValue, "image-min-tokens", "at least \(minimum) and at most \(maximum) image tokens exclude each other")
    }
    let maximum = budget.maximum ?? max(maximumTokens, budget.minimum ?? 0)
    return ResolutionBudget(
      multiple: multiple, minimumTokens: min(budget.minimum ?? minimumTokens, maximum), maximumTokens: maximum)
  }

  package func size(width: Int, height: Int) -> ImageSize {
    let (side, area) = (Double(multiple), Double(multiple * multiple))
    // Halves go to the even neighbour, as Python rounds; a picture of which a side rounds to nothing grows.
    func rounded(_ length: Int) -> Double { (Double(length) / side).rounded(.toNearestOrEven) * side }
    var (across, down) = (rounded(width), rounded(height))
    if across * down > Double(maximumTokens) * area {
      let shrink = (Double(width) * Double(height) / (Double(maximumTokens) * area)).squareRoot()
      across = max(side, (Double(width) / shrink / side).rounded(.down) * side)
      down = max(side, (Double(height) / shrink / side).rounded(.down) * side)
    } else if across * down < Double(minimumTokens) * area {
      let grow = (Double(minimumTokens) * area / (Double(width) * Double(height))).squareRoot()
      across = (Double(width) * grow / side).rounded(.up) * side
      down = (Double(height) * grow / side).rounded(.up) * side
    }
    // A very long picture keeps one token on its short side, which alone may take it over the range.
    let most = Double(maximumTokens) * area
    return ImageSize(
      width: Int(min(across, max(most / down, side))), height: Int(min(down, max(most / across, side))))
  }
}

/// The whole picture in its own proportions as one tile.
package struct NativeResolutionProcessor: ImageProcessor {
  package let shape: VisionShape
  package let budget: ResolutionBudget
  package let filter: ResampleFilter
  /// Markers around the tile's tokens.
  package let before: [FrameItem]
  package let after: [FrameItem]

  package init(
    shape: VisionShape, budget: ResolutionBudget, filter: ResampleFilter, before: [FrameItem] = [],
    after: [FrameItem] = []
  ) {
    self.shape = shape
    self.budget = budget
    self.filter = filter
    self.before = before
    self.after = after
  }

  package func layout(width: Int, height: Int) -> PictureLayout {
    let size = budget.size(width: width, height: height)
    let window = TokenWindow(rows: 0..<size.height / budget.multiple, columns: 0..<size.width / budget.multiple)
    return PictureLayout(tiles: [window], frame: before + [.tokens(tile: 0, 0..<window.count)] + after)
  }

  package func canvas(width: Int, height: Int) -> ImageSize { budget.size(width: width, height: height) }

  package func prepare(_ image: Image) -> PreparedPicture {
    let size = budget.size(width: image.width, height: image.height)
    let (shape, filter) = (shape, filter)
    return PreparedPicture(layout: layout(width: image.width, height: image.height)) { _ in
      PreparedImage(
        normalizing: resize(image, width: size.width, height: size.height, filter: filter), mean: shape.mean,
        deviation: shape.deviation, placement: .whole((image.width, image.height), on: (size.width, size.height)))
    }
  }

  package func limited(to budget: ImageTokenBudget) throws -> any ImageProcessor {
    NativeResolutionProcessor(
      shape: shape, budget: try self.budget.limited(to: budget), filter: filter, before: before, after: after)
  }
}
