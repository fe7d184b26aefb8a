import OccamCore
import OccamImages
import Testing

@Suite("Resizing, canvases, patches and keep maps")
struct PreparingTests {
  @Test("resize: Pillow's exact samples", arguments: Goldens.lines("resize"))
  func resizing(_ line: [String]) throws {
    let source = try Goldens.image("\(line[1]).png")
    let numbers = try line[3..<9].map { try #require(Double($0)) }
    let box = ResizeBox(left: numbers[2], top: numbers[3], right: numbers[4], bottom: numbers[5])
    let filter = try #require(ResampleFilter.allCases.first { "\($0)" == line[2] })
    let result = resize(source, width: Int(numbers[0]), height: Int(numbers[1]), filter: filter, box: box)
    #expect(fingerprint(result.pixels) == line[9])
  }

  @Test("LLaVA-1.5 canvas: llama.cpp's size, place, colour and samples", arguments: Goldens.lines("canvas"))
  func canvas(_ line: [String]) throws {
    let numbers = try line[1..<4].map { try #require(Int($0)) }
    let source = resize(
      try Goldens.image("picture.png"), width: numbers[0], height: numbers[1], filter: .bilinear)
    let (canvas, placement) = fitOnCanvas(source, size: numbers[2], padding: (122, 116, 104))
    #expect(fingerprint(canvas.pixels) == line[4])
    #expect(placement.originalWidth == numbers[0] && placement.originalHeight == numbers[1])
  }

  @Test("normalising: (value / 255 - mean) / deviation, channel by channel")
  func normalizing() throws {
    let source = try Goldens.image("picture.png")
    let mean = SIMD3<Float>(0.48145466, 0.4578275, 0.40821073)
    let deviation = SIMD3<Float>(0.26862954, 0.26130258, 0.27577711)
    let prepared = preprocessLLaVA15(source, size: 42, mean: mean, deviation: deviation)
    let canvas = fitOnCanvas(source, size: 42, padding: (122, 116, 104)).canvas
    #expect(prepared.width == 42 && prepared.height == 42 && prepared.pixels.count == 3 * 42 * 42)
    for channel in 0..<3 {
      for pixel in 0..<42 * 42 {
        let value = Float(canvas.pixels[pixel * 3 + channel]) / 255
        #expect(prepared.pixels.pointer[channel * 42 * 42 + pixel] == (value - mean[channel]) / deviation[channel])
      }
    }
  }

  @Test("patches: rows of the grid, (channel, y, x) within a row, the remainder left out")
  func patchOrder() {
    // The value of a pixel tells its place: 5 x 7 pixels, patches of 2 pixels, two by three of them.
    let image = Image(width: 5, height: 7, pixels: (0..<35).flatMap { [UInt8($0), UInt8($0 + 50), UInt8($0 + 100)] })
    let placement = ImagePlacement(originalWidth: 5, originalHeight: 7, x: 0, y: 0, width: 5, height: 7)
    let prepared = PreparedImage(
      normalizing: image, mean: .init(repeating: 0), deviation: .init(repeating: 1 / 255), placement: placement)
    let buffer = AlignedBuffer<Float>(count: 6 * 20)
    let view = MatrixView(buffer.pointer, rows: 6, columns: 12, stride: 20)
    patches(of: prepared, patch: 2, into: view)
    for row in 0..<6 {
      var expected: [Float] = []
      for channel in 0..<3 {
        for y in 0..<2 {
          for x in 0..<2 { expected.append(Float((row / 2 * 2 + y) * 5 + row % 2 * 2 + x + 50 * channel)) }
        }
      }
      let actual = (0..<12).map { view.row(row)[$0].rounded() }
      #expect(actual == expected)
      #expect((12..<20).allSatisfy { view.row(row)[$0] == 0 })
    }
  }

  @Test(
    "a grid's rectangles tile the original",
    arguments: [(640, 480), (480, 640), (333, 1000), (336, 336), (7, 5), (1, 1), (1000, 9)])
  func rectangles(_ width: Int, _ height: Int) {
    let source = Image(width: width, height: height, filledWith: (1, 2, 3))
    let prepared = preprocessLLaVA15(source, size: 336, mean: .zero, deviation: .one)
    let grid = TokenGrid(of: prepared, patch: 14)
    #expect(grid.columns == 24 && grid.rows == 24 && grid.count == 576)
    var covered = [Int](repeating: 0, count: width * height)
    for index in 0..<grid.count {
      let area = grid.rectangle(of: index)
      for y in area.y..<area.y + area.height {
        for x in area.x..<area.x + area.width { covered[y * width + x] += 1 }
      }
    }
    #expect(covered.allSatisfy { $0 == 1 })
  }

  @Test("a grid's rectangle is where the patch's content came from")
  func rectanglePlaces() {
    // 672 x 336 on 336: halved, 168 rows, 84 rows of padding above. Patch row 6 starts at canvas row 84.
    let grid = TokenGrid(
      columns: 24, rows: 24, patch: 14,
      placement: ImagePlacement(originalWidth: 672, originalHeight: 336, x: 0, y: 84, width: 336, height: 168))
    #expect(grid.rectangle(of: 6 * 24 + 2) == (56, 0, 28, 28))
    #expect(grid.rectangle(of: 17 * 24 + 23) == (644, 308, 28, 28))
    #expect(grid.rectangle(of: 0).height == 0)
    #expect(grid.rectangle(of: 18 * 24).height == 0)
  }

  @Test("keep map: kept untouched, stages told apart, dropped darker")
  func keepMap() throws {
    let photo = resize(try Goldens.image("picture.png"), width: 400, height: 300, filter: .bicubic)
    let prepared = preprocessLLaVA15(photo, size: 56, mean: .zero, deviation: .one)
    let grid = TokenGrid(of: prepared, patch: 14)
    let whole = KeepMapTile(grid: grid, fates: .init(repeating: .kept, count: 16))
    #expect(drawKeepMap(photo, tiles: [whole]) == photo)
    var fates = [PatchFate](repeating: .droppedStageI, count: 16)
    fates[5] = .kept
    fates[10] = .droppedStageII
    let map = drawKeepMap(photo, tiles: [KeepMapTile(grid: grid, fates: fates)])
    var line = 0
    for index in 0..<16 {
      let area = grid.rectangle(of: index)
      #expect(area.width == 100)
      for y in area.y..<area.y + area.height {
        for x in area.x..<area.x + area.width {
          let at = (y * 400 + x) * 3
          let (red, green, blue) = (map.pixels[at], map.pixels[at + 1], map.pixels[at + 2])
          switch fates[index] {
          case .kept: #expect(map.pixels[at..<at + 3] == photo.pixels[at..<at + 3])
          case .droppedStageI where red == 235: line += 1
          case .droppedStageI: #expect(red == green && green == blue && red <= 90)
          case .droppedStageII: #expect(red <= 50 && blue <= 165 && blue >= red)
          }
        }
      }
    }
    #expect(line > 0)
  }
}

extension SIMD3<Float> {
  fileprivate static var one: Self { .init(repeating: 1) }
}
