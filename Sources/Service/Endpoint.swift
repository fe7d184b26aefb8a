/// What the service offers. `/v1/completions` is OpenAI's older API, `/completions` llama-server's own.
enum Endpoint: CaseIterable {
  case page, health, models, props, slots, metrics
  case chatCompletions, completions, completion, responses, messages
  case tokenize, detokenize, applyTemplate, countChatTokens, countMessageTokens

  var paths: [String] {
    switch self {
    case .page: ["/", "/index.html"]
    case .health: ["/health", "/v1/health"]
    case .models: ["/v1/models", "/models"]
    case .props: ["/props"]
    case .slots: ["/slots"]
    case .metrics: ["/metrics"]
    case .chatCompletions: ["/v1/chat/completions", "/chat/completions"]
    case .completions: ["/v1/completions"]
    case .completion: ["/completion", "/completions"]
    case .responses: ["/v1/responses", "/responses"]
    case .messages: ["/v1/messages"]
    case .tokenize: ["/tokenize"]
    case .detokenize: ["/detokenize"]
    case .applyTemplate: ["/apply-template"]
    case .countChatTokens: ["/v1/chat/completions/input_tokens", "/chat/completions/input_tokens"]
    case .countMessageTokens: ["/v1/messages/count_tokens"]
    }
  }

  /// Answered without a key: they tell nothing of anybody's.
  var isPublic: Bool { [.page, .health, .models].contains(self) }

  /// What is read; everything else is a POST.
  var isRead: Bool { [.page, .health, .models, .props, .slots, .metrics].contains(self) }

  /// Answered from the request's text alone: nothing is computed.
  var isText: Bool {
    [.tokenize, .detokenize, .applyTemplate, .countChatTokens, .countMessageTokens].contains(self)
  }

  /// Answered while the model is loading.
  var needsNoModel: Bool { [.page, .health].contains(self) }

  static func at(_ path: String) -> Endpoint? {
    // A proxy's configuration often ends with a slash.
    let path = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    return table[path]
  }

  private static let table = Dictionary(
    uniqueKeysWithValues: allCases.flatMap { endpoint in endpoint.paths.map { ($0, endpoint) } })
}
