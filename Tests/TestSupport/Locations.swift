import Glibc
import OccamCore

/// Where the tests find their files: beside the sources, found from this very file.
package enum Locations {
  /// The package's root folder.
  package static let root: String = {
    let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
    return parts.dropLast(3).joined(separator: "/")
  }()

  package static let goldens = "\(root)/Tests/Goldens"
  package static let photos = "\(root)/Tests/Photos"

  /// In CI what is missing fails the tests that need it.
  package static let isCI = getenv("CI") != nil

  /// Folder of the vocabulary files that the package does not hold; nil where it is absent outside of CI, or
  /// `OCCAM_VOCABS` is `none`.
  package static let vocabularies: String? = {
    let folder = getenv("OCCAM_VOCABS").map { String(cString: $0) } ?? "\(root)/../shared/vocabs"
    return folder != "none" && (isCI || Files.exists(vocabulary("llama-spm", in: folder))) ? folder : nil
  }()

  /// The 32,000 SentencePiece tokens of Llama 2 and LLaVA-1.5; nil where the folder is absent.
  package static let llamaVocabulary: String? = vocabularies.map { vocabulary("llama-spm", in: $0) }

  package static func vocabulary(_ name: String, in folder: String) -> String { "\(folder)/ggml-vocab-\(name).gguf" }
}
