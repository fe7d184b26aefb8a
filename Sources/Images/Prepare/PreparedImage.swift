import OccamCore

/// A picture as a vision encoder takes it: normalised floats, channel by channel (CHW), rows top to bottom.
package struct PreparedImage: Sendable {
  /// 3 x `height` x `width`; element (channel, y, x) at `(channel * height + y) * width + x`.
  package let pixels: AlignedBuffer<Float>
  package let width: Int
  package let height: Int
  /// Where the original picture went.
  package let placement: ImagePlacement

  /// Normalises every channel: (value / 255 - mean) / deviation, in single precision and in that order.
  package init(
    normalizing image: Image, mean: SIMD3<Float>, deviation: SIMD3<Float>, placement: ImagePlacement
  ) {
    width = image.width
    height = image.height
    self.placement = placement
    let area = width * height
    pixels = AlignedBuffer(count: 3 * area, zeroed: false)
    for channel in 0..<3 {
      let table = (0..<256).map { (Float($0) / 255 - mean[channel]) / deviation[channel] }
      let plane = pixels.pointer + channel * area
      for index in 0..<area { plane[index] = table[Int(image.pixels[3 * index + channel])] }
    }
  }
}

/// How a picture was scaled and placed on the square canvas that the encoder sees.
package struct ImagePlacement: Sendable, Equatable {
  /// Size of the (oriented) picture before scaling.
  package let originalWidth: Int
  package let originalHeight: Int
  /// Where the scaled picture lies on the canvas, in canvas pixels; what is around it is padding. Of a tile, the canvas
  /// is the tile alone, and the picture may begin left of it or above.
  package var x: Int
  package var y: Int
  package let width: Int
  package let height: Int

  package init(originalWidth: Int, originalHeight: Int, x: Int, y: Int, width: Int, height: Int) {
    self.originalWidth = originalWidth
    self.originalHeight = originalHeight
    self.x = x
    self.y = y
    self.width = width
    self.height = height
  }
}

/// Prepares a picture for LLaVA-1.5's encoder as llama.cpp does (tools/mtmd, projector type `mlp` without grid pinpoints:
/// `mtmd_image_preprocessor_fixed_size` with the parameters of clip.cpp).
///
/// The picture is scaled to fit a `size` x `size` canvas, aspect kept, sides rounded up; the resampling is Pillow's
/// bicubic (a = -0.5, antialiased, 22-bit fixed point), horizontally first. It is centred (offsets rounded down) on the colour
/// (122, 116, 104), CLIP's mean colour in bytes. A picture of exactly the canvas' size is copied. The reference
/// implementation of LLaVA pads first and resizes then, which differs by a few levels at the border.
/// - Parameters:
///   - size: side of the canvas, 336 for LLaVA-1.5 (`clip.vision.image_size`).
///   - mean, deviation: `clip.vision.image_mean` and `clip.vision.image_std`.
/// - Precondition: `size` is 1...16,384.
package func preprocessLLaVA15(
  _ image: Image, size: Int, mean: SIMD3<Float>, deviation: SIMD3<Float>
) -> PreparedImage {
  let (canvas, placement) = fitOnCanvas(image, size: size, padding: (122, 116, 104))
  return PreparedImage(normalizing: canvas, mean: mean, deviation: deviation, placement: placement)
}

/// The 8-bit half of `preprocessLLaVA15`.
package func fitOnCanvas(
  _ image: Image, size: Int, padding: (red: UInt8, green: UInt8, blue: UInt8)
) -> (canvas: Image, placement: ImagePlacement) {
  precondition((1...16_384).contains(size), "fitOnCanvas: size out of range")
  // Single precision throughout, as the original: the rounding decides about one pixel.
  let scale = min(Float(size) / Float(image.width), Float(size) / Float(image.height))
  let width = max(min(Int((Float(image.width) * scale).rounded(.up)), size), 1)
  let height = max(min(Int((Float(image.height) * scale).rounded(.up)), size), 1)
  let placement = ImagePlacement(
    originalWidth: image.width, originalHeight: image.height, x: (size - width) / 2, y: (size - height) / 2,
    width: width, height: height)
  let scaled = resize(image, width: width, height: height, filter: .bicubic, order: .horizontalFirst)
  if width == size, height == size { return (scaled, placement) }
  var canvas = Image(width: size, height: size, filledWith: padding)
  for y in 0..<height {
    let start = ((placement.y + y) * size + placement.x) * 3
    canvas.pixels.replaceSubrange(
      start..<start + width * 3, with: scaled.pixels[y * width * 3..<(y + 1) * width * 3])
  }
  return (canvas, placement)
}
