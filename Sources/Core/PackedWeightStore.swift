/// Somebody who keeps packed weights from one load of a file to the next. Packing knows nothing of where.
package protocol PackedWeightStore: AnyObject {
  /// What was kept under `name`, 64-byte aligned; nil if there is nothing, or something of another length.
  func bytes(_ name: String, count: Int) -> SharedBytes?

  /// Offers all packed weights of a file, those that came from here among them. Never fails: what cannot be kept is packed
  /// again the next time.
  func keep(_ weights: [PackedWeight], team: WorkerTeam)
}

/// The packed bytes of a matrix under a name that says all they depend on besides the file and the kernels.
package struct PackedWeight: Sendable {
  package let name: String
  package let bytes: SharedBytes

  package init(name: String, bytes: SharedBytes) {
    self.name = name
    self.bytes = bytes
  }
}
