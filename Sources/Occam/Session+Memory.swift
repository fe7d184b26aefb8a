extension Session {
  /// What the session holds now: KV cache, images, activations that it keeps.
  public var memoryBytes: Int {
    (try? measured { core throws(OccamError) in core.memoryBytes }) ?? 0
  }

  /// Like `clear`, and gives the activations back, too.
  func forget() {
    _ = try? measured { core throws(OccamError) in
      core.clear()
      core.compute.release()
      core.modelDrafter?.release()
    }
  }
}

extension SessionCore {
  fileprivate var memoryBytes: Int {
    states.byteCount + compute.byteCount + (modelDrafter?.byteCount ?? 0)
      + images.reduce(0) { sum, image in
        sum + image.bytes.count
          + image.tiles.reduce(0) { $0 + $1.embeddings.byteCount + $1.planes.reduce(0) { $0 + $1.byteCount } }
      }
  }
}
