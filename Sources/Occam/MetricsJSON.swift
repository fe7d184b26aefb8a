import OccamCore

// The lines `occam-run --json` prints: one object each, tokens first, one summary last.

extension GeneratedToken {
  public var jsonLine: String {
    var members = [
      JSONMember("type", "token"), JSONMember("id", .integer(Int(id))), JSONMember("text", .string(text)),
    ]
    if let logprob { members.append(JSONMember("logprob", .float(logprob))) }
    if !top.isEmpty {
      members.append(
        JSONMember(
          "top",
          .array(
            top.map { ["id": .integer(Int($0.id)), "text": .string($0.text), "logprob": .float($0.logprob)] })))
    }
    return JSONValue.object(members).text()
  }
}

extension GenerationMetrics {
  public var jsonLine: String { json.text() }

  package var json: JSONValue {
    [
      "type": "summary", "stop": .string(stop.rawValue), "prompt_tokens": .integer(promptTokens),
      "generated_tokens": .integer(generatedTokens),
      "speculation": [
        "drafted": .integer(draftedTokens), "accepted": .integer(acceptedTokens), "passes": .integer(decodePasses),
      ],
      "timings": timings.json, "pruning": .array(pruning.map(\.json)),
      "memory": [
        "kv_bytes": .integer(kvBytes), "kv_bytes_unpruned": .integer(kvBytesUnpruned),
        "weights_bytes": .integer(weightsBytes), "peak_rss_bytes": .integer(peakResidentBytes),
      ],
      "mean_visual_tokens_per_layer": .number(meanVisualTokensPerLayer), "kernel": .string(kernel),
      "threads": .integer(threads), "seed": .integer(Int(clamping: seed)),
    ]
  }
}

extension GenerationMetrics.Timings {
  var json: JSONValue {
    [
      "load_ms": rounded(load), "image_decode_ms": rounded(imageDecode), "image_encode_ms": rounded(imageEncode),
      "prefill_ms": rounded(prefill), "ttft_ms": rounded(timeToFirstToken), "decode_ms": rounded(decode),
      "prefill_tokens_per_s": rounded(prefillTokensPerSecond), "decode_tokens_per_s": rounded(decodeTokensPerSecond),
    ]
  }

  /// Three decimals: microseconds.
  private func rounded(_ value: Double) -> JSONValue { .number((value * 1000).rounded() / 1000) }
}

extension GenerationMetrics.Image {
  var json: JSONValue {
    [
      "image": .integer(image), "total": .integer(total), "stage1": .integer(stage1), "kept": .integer(kept),
      "lambda1": .float(lambda1), "lambda2": .float(lambda2), "layer": .integer(layer),
      "reference": .string(reference), "kept_indices": .array(keptIndices.map { .integer($0) }),
    ]
  }
}
