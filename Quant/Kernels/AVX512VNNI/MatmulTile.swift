import OccamKernelContract
import _Builtin_intrinsics.intel

/// A marker: `n` tokens of the first group.
struct Tokens<let n: Int> {}

protocol TileKernel: SendableMetatype {
  /// - Parameters:
  ///   - n: tokens of each group, a constant; four if there are several.
  ///   - groups: 1...3, a constant.
  static func run<let n: Int>(_ a: TileArguments, _ tokens: Tokens<n>.Type, groups: Int)
}

/// Compiles `kernel` once for each size of tile. A tile between two sizes is widened, the surplus not used; a token's
/// own operations are the same in each size.
@inline(__always)
func runTile<K: TileKernel>(_ kernel: K.Type, _ a: TileArguments) {
  switch a.tokens {
  case 1: kernel.run(a, Tokens<1>.self, groups: 1)
  case 2: kernel.run(a, Tokens<2>.self, groups: 1)
  case 3: kernel.run(a, Tokens<3>.self, groups: 1)
  case 4: kernel.run(a, Tokens<4>.self, groups: 1)
  case 5...8: kernel.run(a, Tokens<4>.self, groups: 2)
  default: kernel.run(a, Tokens<4>.self, groups: 3)
  }
}

/// One value for each token of a tile.
struct Tile<let n: Int, Value: BitwiseCopyable> {
  var first: InlineArray<n, Value>
  var second: InlineArray<n, Value>
  var third: InlineArray<n, Value>

  @inline(__always)
  init(repeating value: Value) {
    first = InlineArray(repeating: value)
    second = InlineArray(repeating: value)
    third = InlineArray(repeating: value)
  }

  /// Replaces every token's value by `body(value, activations, token)`. The groups stand one after another, not in a
  /// loop, so that every value stays in a register.
  /// - Parameter record: bytes from one token's activations to the next one's.
  @inline(__always)
  mutating func update(
    _ groups: Int, _ x: UnsafeRawPointer, _ groupStride: Int, record: Int,
    _ body: (_ value: Value, _ x: UnsafeRawPointer, _ token: Int) -> Value
  ) {
    for t in 0..<n { first[t] = body(first[t], x + t &* record, t) }
    if groups > 1 {
      let x = x + groupStride
      for t in 0..<n { second[t] = body(second[t], x + t &* record, 4 &+ t) }
    }
    if groups > 2 {
      let x = x + 2 &* groupStride
      for t in 0..<n { third[t] = body(third[t], x + t &* record, 8 &+ t) }
    }
  }

  @inline(__always)
  func forEach(_ groups: Int, _ body: (_ value: Value, _ token: Int) -> Void) {
    for t in 0..<n { body(first[t], t) }
    if groups > 1 { for t in 0..<n { body(second[t], 4 &+ t) } }
    if groups > 2 { for t in 0..<n { body(third[t], 8 &+ t) } }
  }
}
