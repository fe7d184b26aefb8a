/// What a file may ask for before anything is allocated. Every count is also held against the bytes that are there.
package struct GGUFLimits: Sendable {
  /// Metadata entries; models have about 50.
  package var entries = 1 << 16
  /// Tensors; the largest mixture-of-experts files have a few thousand.
  package var tensors = 1 << 16
  /// Bytes of a key (the format's own limit).
  package var keyBytes = 65_535
  /// Bytes of a tensor's name (ggml: 64 with the final zero).
  package var nameBytes = 63
  /// Bytes of one string.
  package var stringBytes = 1 << 26
  /// Elements of one array; the largest vocabularies have 2^18 tokens and 2^19 merges.
  package var arrayElements = 1 << 24
  /// The largest `general.alignment`.
  package var alignment = 1 << 16

  /// Files of a split model.
  package var parts = 1 << 10

  package init() {}

  package static let `default` = GGUFLimits()

  /// ggml's tensors have at most 4 dimensions.
  static let dimensions = 4
}
