/// What the files of one model family hold. A family is one file in Specs, built from the shared builders of text and
/// vision tensors.
package protocol FixtureFamily: Sendable {
  /// Its small models.
  static var specs: [FixtureSpec] { get }
  /// Its published models' sizes.
  static var published: [FixtureSpec] { get }
  /// The vocabulary for `Vocabulary.builtIn`, filled up to `minimumCount` tokens.
  static func vocabulary(minimumCount: Int) -> VocabularyMetadata
  /// Keys of the text file but for `general.*` and `tokenizer.*`, `general.architecture` being the first.
  static func textMetadata(_ text: FixtureSpec.Text) -> MetadataEntries
  /// Tensors of the text model, in file order.
  static func textTensors(_ text: FixtureSpec.Text, _ vocabulary: VocabularyMetadata) -> [TensorPlan]
  /// Keys of the mmproj but for `general.*`. Not asked for a specification without vision.
  static func visionMetadata(_ spec: FixtureSpec) -> MetadataEntries
  /// Tensors of the encoder and of the projector, in file order.
  static func visionTensors(_ spec: FixtureSpec) -> [TensorPlan]
}

extension FixtureFamily {
  package static func visionMetadata(_ spec: FixtureSpec) -> MetadataEntries { [] }
  package static func visionTensors(_ spec: FixtureSpec) -> [TensorPlan] { [] }
}
