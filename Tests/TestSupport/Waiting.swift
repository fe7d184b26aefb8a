import Glibc
import OccamCore

/// Runs a body on a thread of its own.
package func onThread(_ body: @escaping @Sendable () -> Void) {
  let box = Unmanaged.passRetained(Guarded(body) as AnyObject)
  var thread = pthread_t()
  let status = pthread_create(
    &thread, nil,
    { argument in
      let held = argument.map { Unmanaged<AnyObject>.fromOpaque($0).takeRetainedValue() }
      let body = (held as? Guarded<@Sendable () -> Void>)?.withLock { $0 }
      body?()
      return nil
    }, box.toOpaque())
  precondition(status == 0)
  pthread_detach(thread)
}

/// Waits until a condition holds; false when it does not within the time of a client's wait.
package func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
  let start = Clock.nanoseconds()
  while try !condition() {
    if Clock.milliseconds(since: start) > Double(HTTPTestClient.seconds) * 1000 { return false }
    usleep(2000)
  }
  return true
}
