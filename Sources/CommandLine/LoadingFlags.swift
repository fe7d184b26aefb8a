/// How a model is loaded: the flags that the tools share.
package enum LoadingFlags {
  package static let packCache = Flag<String>.file(
    "--pack-cache", value: "DIR",
    help: "keep packed weights in this folder and map them in from the second start on (default: no)")
  package static let packCacheSize = Flag<Int>.integer(
    "--pack-cache-size", value: "MIB", in: 1...1 << 30, default: 16_384,
    help: "what that folder may hold: files used longest ago go first, none that is in use")
  package static let lowMemory = Flag<Bool>.toggle(
    "--low-memory",
    help: "give the vision encoder's weights back after encoding; later pictures load them again, mapped from the pack "
      + "cache where there is one, else packed again from the file")

  package static let specs = [packCache.spec, packCacheSize.spec, lowMemory.spec]
}
