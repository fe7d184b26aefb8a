/// The flags of the KV cache's formats, of every tool that answers.
package struct CacheFlags<Format: RawRepresentable & CaseIterable & Sendable>: Sendable
where Format.RawValue == String {
  package let keys: Flag<Format>
  package let values: Flag<Format>

  package init(default format: Format) {
    keys = .choice("-ctk", "--cache-type-k", default: format, help: "format of the KV cache's keys")
    values = .choice(
      "-ctv", "--cache-type-v", default: format,
      help: "format of the KV cache's values, which take 4 bits better than keys")
  }

  package var specs: [FlagSpec] { [keys.spec, values.spec] }
}
