import Glibc
import OccamCore

/// The filters of Pillow's `Image.resize` that vision models use.
package enum ResampleFilter: Sendable, CaseIterable {
  /// The mean of the pixels covered.
  case box
  case bilinear
  /// Catmull-Rom: cubic convolution with a = -0.5.
  case bicubic
  /// Three lobes of the windowed sinc.
  case lanczos

  /// Distance from the centre, in source pixels when not shrinking, beyond which the filter is zero.
  fileprivate var support: Double {
    switch self {
    case .box: 0.5
    case .bilinear: 1
    case .bicubic: 2
    case .lanczos: 3
    }
  }

  fileprivate func weight(_ distance: Double) -> Double {
    let x = abs(distance)
    switch self {
    // Not even: a pixel on the edge belongs to one side only.
    case .box: return distance > -0.5 && distance <= 0.5 ? 1 : 0
    case .bilinear: return x < 1 ? 1 - x : 0
    case .bicubic:
      let a = -0.5
      if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
      return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0
    case .lanczos:
      return distance >= -3 && distance < 3 ? Self.sinc(distance) * Self.sinc(distance / 3) : 0
    }
  }

  private static func sinc(_ x: Double) -> Double {
    if x == 0 { return 1 }
    let angle = x * Double.pi
    return sin(angle) / angle
  }
}

/// A part of a picture in pixels, edges between pixels allowed.
package struct ResizeBox: Sendable, Equatable {
  package let left, top, right, bottom: Double

  package init(left: Double, top: Double, right: Double, bottom: Double) {
    self.left = left
    self.top = top
    self.right = right
    self.bottom = bottom
  }
}

/// Which axis is resampled first; the 8-bit rounding between the passes makes the results differ by a few levels.
package enum ResizeOrder: Sendable {
  /// Horizontally, then vertically: Pillow up to 12, and llama.cpp.
  case horizontalFirst
  /// Pillow from 13 on: vertically first where that loses many more rows than the other pass loses columns.
  case pillow13
}

/// Resamples to `width` x `height` exactly as Pillow's `Image.resize` (8-bit path): filter widened by the scale when
/// shrinking, weights in 22-bit fixed point, each of the two passes rounded to 8 bits.
/// - Parameter box: the part of the picture to use; the whole when nil.
/// - Precondition: both sides are 1...65,536 and the box is inside the picture and not empty.
package func resize(
  _ image: Image, width: Int, height: Int, filter: ResampleFilter, box: ResizeBox? = nil, order: ResizeOrder = .pillow13
) -> Image {
  let box = box ?? ResizeBox(left: 0, top: 0, right: Double(image.width), bottom: Double(image.height))
  precondition((1...65_536).contains(width) && (1...65_536).contains(height), "resize: target size out of range")
  precondition(
    box.left >= 0 && box.top >= 0 && box.right > box.left && box.bottom > box.top && box.right <= Double(image.width)
      && box.bottom <= Double(image.height), "resize: box outside the picture")
  func horizontal(_ image: Image) -> Image {
    // A pass that changes nothing is left out.
    if width == image.width, box.left == 0, box.right == Double(width) { return image }
    let weights = ResampleWeights(filter, source: image.width, from: box.left, to: box.right, target: width)
    return resampleRows(image, weights, width: width)
  }
  func vertical(_ image: Image) -> Image {
    if height == image.height, box.top == 0, box.bottom == Double(height) { return image }
    let weights = ResampleWeights(filter, source: image.height, from: box.top, to: box.bottom, target: height)
    return resampleColumns(image, weights, height: height)
  }
  // Found by trying sizes and boxes with Pillow 13.0: whole sizes count, not the box's.
  let verticalFirst =
    order == .pillow13 && height < image.height && image.height - height > 2 * (image.width - width)
  return verticalFirst ? horizontal(vertical(image)) : vertical(horizontal(image))
}

/// Which source pixels make up each target pixel of one axis, and how much of each.
private struct ResampleWeights {
  static let fractionBits: Int32 = 22
  static let half: Int32 = 1 << 21

  let first: [Int]
  let count: [Int]
  /// `stride` weights per target pixel, `count` of them used.
  let weights: AlignedBuffer<Int32>
  let stride: Int

  init(_ filter: ResampleFilter, source: Int, from: Double, to: Double, target: Int) {
    let scale = (to - from) / Double(target)
    let widened = max(scale, 1)
    let support = filter.support * widened
    let reach = Int(support.rounded(.up))
    stride = reach * 2 + 1
    weights = AlignedBuffer(count: target * stride)
    var first: [Int] = []
    var count: [Int] = []
    var row = [Double](repeating: 0, count: stride)
    let inverse = 1 / widened
    for index in 0..<target {
      let centre = from + (Double(index) + 0.5) * scale
      let low = max(Int(centre - support + 0.5), 0)
      let high = min(Int(centre + support + 0.5), source)
      var sum = 0.0
      for k in 0..<high - low {
        row[k] = filter.weight((Double(k + low) - centre + 0.5) * inverse)
        sum += row[k]
      }
      for k in 0..<high - low {
        let share = sum == 0 ? row[k] : row[k] / sum
        let scaled = share * Double(1 << Self.fractionBits)
        weights.pointer[index * stride + k] = Int32(share < 0 ? scaled - 0.5 : scaled + 0.5)
      }
      first.append(low)
      count.append(high - low)
    }
    self.first = first
    self.count = count
  }

  @inline(__always)
  static func byte(_ sum: Int32) -> UInt8 { UInt8(truncatingIfNeeded: min(max(sum &>> fractionBits, 0), 255)) }
}

private func resampleRows(_ image: Image, _ plan: ResampleWeights, width: Int) -> Image {
  let height = image.height
  let pixels = [UInt8](unsafeUninitializedCapacity: width * height * 3) { out, written in
    image.pixels.withUnsafeBufferPointer { source in
      guard let source = source.baseAddress, let out = out.baseAddress else { return }
      for y in 0..<height {
        let line = source + y * image.width * 3
        let target = out + y * width * 3
        for x in 0..<width {
          var (red, green, blue) = (ResampleWeights.half, ResampleWeights.half, ResampleWeights.half)
          let from = line + plan.first[x] * 3
          let weights = plan.weights.pointer + x * plan.stride
          for k in 0..<plan.count[x] {
            let weight = weights[k]
            red &+= Int32(from[3 &* k]) &* weight
            green &+= Int32(from[3 &* k &+ 1]) &* weight
            blue &+= Int32(from[3 &* k &+ 2]) &* weight
          }
          target[3 &* x] = ResampleWeights.byte(red)
          target[3 &* x &+ 1] = ResampleWeights.byte(green)
          target[3 &* x &+ 2] = ResampleWeights.byte(blue)
        }
      }
    }
    written = width * height * 3
  }
  return Image(width: width, height: height, pixels: pixels)
}

private func resampleColumns(_ image: Image, _ plan: ResampleWeights, height: Int) -> Image {
  let rowBytes = image.width * 3
  let sums = AlignedBuffer<Int32>(count: rowBytes)
  let pixels = [UInt8](unsafeUninitializedCapacity: rowBytes * height) { out, written in
    image.pixels.withUnsafeBufferPointer { source in
      guard let source = source.baseAddress, let out = out.baseAddress else { return }
      let sum = sums.pointer
      for y in 0..<height {
        sums.buffer.update(repeating: ResampleWeights.half)
        for k in 0..<plan.count[y] {
          let weight = plan.weights.pointer[y * plan.stride + k]
          let line = source + (plan.first[y] + k) * rowBytes
          for index in 0..<rowBytes { sum[index] &+= Int32(line[index]) &* weight }
        }
        let target = out + y * rowBytes
        for index in 0..<rowBytes { target[index] = ResampleWeights.byte(sum[index]) }
      }
    }
    written = rowBytes * height
  }
  return Image(width: image.width, height: height, pixels: pixels)
}
