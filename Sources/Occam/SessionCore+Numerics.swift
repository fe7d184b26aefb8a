import OccamCore
import OccamPruning
import OccamTensors
import OccamTokenizer

// For calibrating, and for comparing numerics.

extension SessionCore {
  /// Stage II's scores of one image and question, with everything of S1 kept.
  func stageTwoScores(
    _ question: String, _ image: Shown, _ selector: any VisualTokenSelector
  ) throws(OccamError) -> TokenScores? {
    clear()
    var metrics = GenerationMetrics()
    try addImages([image], selector, { _ in }, &metrics)
    let prompt = try chatPrompt(SessionCore.userMessage(question, images: 1))
    let rows = PrefillRows(
      prompt.items[...], questionStart: 0, position: 0, images: images, scheme: model.decoder.shape.positions)
    let driver = PrefillDriver(decoder: model.decoder, compute: compute, states: states)
    let outcome = try translating("prefill") {
      try driver.run(rows, images: images, selector: selector)
    }
    clear()
    return .joined(outcome.scores)
  }

  /// The likeliest answer to a question about one image, its end included, or the answer `given`; and its log-probability.
  func likelihood(
    of given: [Int32]? = nil, _ question: String, _ image: ImageSource, _ selector: (any VisualTokenSelector)?,
    limit: Int
  ) throws(OccamError) -> (answer: [Int32], logProbability: Double) {
    clear()
    defer { clear() }
    var metrics = GenerationMetrics()
    try addImages([.source(image)], selector, { _ in }, &metrics)
    let prompt = try chatPrompt(SessionCore.userMessage(question, images: 1))
    var logits = try prefill(prompt, selector, { _ in }, &metrics)
    var (answer, sum) = ([Int32](), 0.0)
    while answer.count < given?.count ?? limit {
      let row = UnsafeBufferPointer(start: logits.row(0), count: logits.columns)
      let token = given?[answer.count] ?? LogProbabilities(row, chosen: 0, top: 1).top.first?.id ?? 0
      sum += max(Double(LogProbabilities(row, chosen: token, top: 0).chosen), -100)
      answer.append(token)
      if model.tokenizer.isEndOfGeneration(token) || answer.count == given?.count ?? limit { break }
      logits = try decode(token)
    }
    return (answer, sum)
  }

  func logits(
    _ text: String, _ sources: [ImageSource], _ continuation: [Int32], _ pruning: GenerationOptions.Pruning,
    guesses: (right: Int, wrong: Int)
  ) throws(OccamError) -> [[Float]] {
    clear()
    let selector = try selector(pruning)
    var metrics = GenerationMetrics()
    try addImages(sources.map { .source($0) }, selector, { _ in }, &metrics)
    let prompt = try rawPrompt(text, images: images.count)
    lastWasRaw = true
    var rows = [copy(try prefill(prompt, selector, { _ in }, &metrics))]
    var rest = continuation[...]
    while let token = rest.popFirst() {
      let right = Array(rest.prefix(guesses.right))
      rest.removeFirst(right.count)
      let wrong = (0..<guesses.wrong).map { (token + Int32($0)) % Int32(model.decoder.shape.vocabulary) }
      let logits = try decode(token, guesses: right + wrong)
      for row in 0...right.count { rows.append(copy(logits.slice(rows: row..<row + 1))) }
      for _ in right { confirmGuess() }
      dropGuesses()
    }
    return rows
  }

  func layout(
    _ text: String, _ sources: [ImageSource]
  ) throws(OccamError) -> (ids: [Int32?], positions: [Position]) {
    clear()
    defer { clear() }
    var metrics = GenerationMetrics()
    try addImages(sources.map { .source($0) }, nil, { _ in }, &metrics)
    return layout(try rawPrompt(text, images: images.count))
  }

  func layout(
    _ turns: [ChatMessage], _ sources: [ImageSource]
  ) throws(OccamError) -> (ids: [Int32?], positions: [Position]) {
    clear()
    defer { clear() }
    guard let last = turns.last else { throw OccamError(.invalidOption, "prompt", "is empty") }
    var metrics = GenerationMetrics()
    try addImages(sources.map { .source($0) }, nil, { _ in }, &metrics)
    messages = turns.dropLast()
    return layout(try chatPrompt(last))
  }

  private func layout(_ prompt: Prompt) -> (ids: [Int32?], positions: [Position]) {
    let rows = PrefillRows(
      prompt.items[...], questionStart: 0, position: 0, images: images, scheme: model.decoder.shape.positions)
    var ids = [Int32?](repeating: nil, count: rows.count)
    for (row, id) in rows.tokens { ids[row] = id }
    return (ids, rows.positions)
  }

  func imageEmbeddings(_ source: ImageSource) throws(OccamError) -> [[Float]] {
    clear()
    var metrics = GenerationMetrics()
    try addImages([.source(source)], nil, { _ in }, &metrics)
    let image = images[0]
    clear()
    let width = model.decoder.shape.hidden
    return image.frame.flatMap { piece -> [[Float]] in
      switch piece {
      case .marker: return []
      case .learned(let embedding): return [copy(MatrixView(embedding, rows: 1, columns: width))]
      case .tokens(let tile, let range):
        let view = MatrixView(image.tiles[tile].embeddings, rows: image.tiles[tile].stageOne.total, columns: width)
        return range.map { copy(view.slice(rows: $0..<$0 + 1)) }
      }
    }
  }

  private func copy(_ row: MatrixView<Float>) -> [Float] {
    Array(UnsafeBufferPointer(start: row.row(0), count: row.columns))
  }
}
