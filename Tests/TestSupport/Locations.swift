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

  /// Folder of the vocabulary files that the package does not hold; nil where it is absent.
  package static let vocabularies: String? = {
    let folder = getenv("OCCAM_VOCABS").map { String(cString: $0) } ?? "\(root)/../shared/vocabs"
    return Files.exists(folder) ? folder : nil
  }()

  /// The 32,000 SentencePiece tokens of Llama 2 and LLaVA-1.5; nil where the folder is absent.
  package static let llamaVocabulary: String? = vocabularies.flatMap {
    let path = "\($0)/ggml-vocab-llama-spm.gguf"
    return Files.exists(path) ? path : nil
  }
}
