import OccamImages

/// The sizes that pictures are resampled to when they keep their proportions: sides are whole tokens, their product lies
/// in a range.
package struct ResolutionBudget: Sendable, Equatable {
  package enum Rule: Sendable, Equatable {
    /// As near to the picture's own size as the range allows, each side rounded to the nearest token.
    /// Reference: Hugging Face transformers, `smart_resize` of image_processing_qwen2_vl.py.
    case nearest
    /// As large as the maximum allows, each side rounded down; the minimum says no more than what the maximum is not below.
    /// Reference: Hugging Face transformers, `get_aspect_ratio_preserving_size` of image_processing_gemma4.py.
    case largest
  }

  package let rule: Rule
  /// Side of a token, pixels.
  package let multiple: Int
  package let minimumTokens: Int
  package let maximumTokens: Int

  /// What `maximumTokens` may be made.
  package let limit: Int

  /// A picture may take so many tokens at most, whatever a file or a user asks for.
  package static let limit = 1 << 14

  /// - Parameter limit: of the family's pictures, at most `ResolutionBudget.limit`.
  package init(
    rule: Rule = .nearest, multiple: Int, minimumTokens: Int, maximumTokens: Int, limit: Int = ResolutionBudget.limit
  ) {
    precondition(multiple > 0 && minimumTokens > 0 && maximumTokens >= minimumTokens, "ResolutionBudget: no sizes")
    precondition(
      maximumTokens <= limit && limit <= ResolutionBudget.limit, "ResolutionBudget: over the limit")
    self.rule = rule
    self.limit = limit
    self.multiple = multiple
    self.minimumTokens = minimumTokens
    self.maximumTokens = maximumTokens
  }

  /// With a user's range in the place of the family's own; one given bound moves the other if it has to.
  /// - Throws: `ModelError` for an empty range, and above the limit.
  package func limited(to budget: ImageTokenBudget) throws -> ResolutionBudget {
    func check(_ value: Int?, _ name: String) throws {
      guard let value, !(1...limit).contains(value) else { return }
      throw ModelError(.badValue, name, "\(value) image tokens: 1...\(limit) are possible")
    }
    try check(budget.minimum, "image-min-tokens")
    try check(budget.maximum, "image-max-tokens")
    if let minimum = budget.minimum, let maximum = budget.maximum, minimum > maximum {
      throw ModelError(
        .badValue, "image-min-tokens", "at least \(minimum) and at most \(maximum) image tokens exclude each other")
    }
    let maximum = budget.maximum ?? max(maximumTokens, budget.minimum ?? 0)
    return ResolutionBudget(
      rule: rule, multiple: multiple, minimumTokens: min(budget.minimum ?? minimumTokens, maximum),
      maximumTokens: maximum, limit: limit)
  }

  package func size(width: Int, height: Int) -> ImageSize {
    switch rule {
    case .nearest: nearest(width, height)
    case .largest: largest(width, height)
    }
  }

  private func largest(_ width: Int, _ height: Int) -> ImageSize {
    let area = Double(maximumTokens * multiple * multiple)
    let factor = (area / Double(height * width)).squareRoot()
    func fitting(_ length: Int) -> Int { Int((factor * Double(length) / Double(multiple)).rounded(.down)) }
    var (across, down) = (fitting(width), fitting(height))
    // A side that rounds to nothing is one token long, the other as many as the picture's proportions say.
    if down == 0 {
      (across, down) = (min(max(width / height, 1), maximumTokens), 1)
    } else if across == 0 {
      (across, down) = (1, min(max(height / width, 1), maximumTokens))
    }
    return ImageSize(width: across * multiple, height: down * multiple)
  }

  private func nearest(_ width: Int, _ height: Int) -> ImageSize {
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
