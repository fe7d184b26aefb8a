import Glibc

@_extern(c, "mallopt") private func mallopt(_ option: Int32, _ value: Int32) -> Int32
@_extern(c, "malloc_trim") private func mallocTrim(_ pad: Int) -> Int32

/// What a service that runs for weeks asks of glibc's allocator; with another one it changes nothing. Swift's module of
/// the C library leaves both functions out.
enum Allocator {
  /// By default a thread gets one of eight arenas a core, and what a request leaves free in one arena serves no request
  /// of another. Not where the user has set MALLOC_ARENA_MAX.
  static func limitArenas(to count: Int32) {
    guard getenv("MALLOC_ARENA_MAX") == nil else { return }
    let arenaMaximum: Int32 = -8  // M_ARENA_MAX of malloc.h
    _ = mallopt(arenaMaximum, count)
  }

  /// Gives whole free pages back to the system, also those between blocks in use.
  static func trim() { _ = mallocTrim(0) }
}
