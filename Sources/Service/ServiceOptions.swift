import Occam

/// How a service answers.
package struct ServiceOptions: Sendable {
  /// The model's names: replies bear the first by the alphabet; empty: its file's name.
  package var aliases: [String] = []
  /// What /v1/models says of the model besides.
  package var tags: [String] = []
  /// Any of them opens the endpoints but health, models and the page; empty: all are open.
  package var apiKeys: [String] = []
  /// Folder of `file://` pictures.
  package var mediaPath: String?
  /// Sessions that reply at the same time.
  package var parallel = 4
  /// Requests that may wait for one.
  package var queue = 64
  /// What a request's fields start from; the seed is the one below.
  package var defaults = GenerationOptions()
  /// Of requests that name none; nil: a new one each.
  package var seed: UInt64?
  /// Whether /slots answers.
  package var showsSlots = true
  /// Chat completions tell the prompt that they were made of, as those do whose request says `"verbose": true`.
  package var isVerbose = false
  package var session = SessionOptions()
  /// Of the encoder's results that are kept for pictures shown again.
  package var imageCacheBytes = 512 << 20
  /// Bytes that the process may take in all; nil: no limit. Requests wait while they do not fit by their plans, and one
  /// that never can is refused.
  package var memoryLimit: Int?
  /// Of these, for bodies of requests that are read or wait, and the pictures in them.
  package var requestBytes = 64 << 20
  /// Metrics under llama-server's names, too.
  package var metricsCompat = false
  /// The page at `/`; empty: none.
  package var page: [UInt8] = []
  /// Sites whose pages may call this service from a browser ("*": all, "localhost": those of this machine); nil: none.
  package var allowedOrigin: String?

  package init() {
    defaults.endsAtFullContext = true
  }
}
