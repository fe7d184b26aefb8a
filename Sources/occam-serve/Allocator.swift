import Glibc

/// What a service that runs for weeks asks of glibc's allocator; with another one it changes nothing.
enum Allocator {
  /// By default a thread gets one of eight arenas a core, and what a request leaves free in one arena serves no request
  /// of another. Not where the user has set MALLOC_ARENA_MAX.
  static func limitArenas(to count: Int32) {
    typealias SetOption = @convention(c) (Int32, Int32) -> Int32
    guard getenv("MALLOC_ARENA_MAX") == nil, let set = function("mallopt", as: SetOption.self) else { return }
    let arenaMaximum: Int32 = -8  // M_ARENA_MAX of malloc.h, which Swift's module leaves out
    _ = set(arenaMaximum, count)
  }

  /// Gives whole free pages back to the system, also those between blocks in use.
  static func trim() {
    typealias Trim = @convention(c) (Int) -> Int32
    _ = function("malloc_trim", as: Trim.self)?(0)
  }

  private static func function<Function>(_ name: String, as type: Function.Type) -> Function? {
    dlsym(dlopen(nil, RTLD_NOW), name).map { unsafeBitCast($0, to: type) }
  }
}
