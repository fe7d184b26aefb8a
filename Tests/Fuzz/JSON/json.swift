// fuzz-module: OccamCore Sources/Core
// fuzz-corpus: Tests/Fuzz/JSON/seeds/*
// fuzz-words: Tests/Fuzz/JSON/json.dict
import OccamCore

/// Any bytes are a JSON value or an error with a place in them; a value that is written, on one line or indented, reads
/// back as itself.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzJSON(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
  let bytes = Array(UnsafeBufferPointer(start: data, count: size))
  let value: JSONValue
  do { value = try JSONValue(parsing: bytes) } catch {
    precondition(error.line >= 1 && error.column >= 1 && error.column <= size + 1 && !error.reason.isEmpty)
    return 0
  }
  for indented in [false, true] {
    let text = value.text(indented: indented)
    guard let again = try? JSONValue(parsing: text) else { preconditionFailure("written, it cannot be read") }
    precondition(again == value && again.text(indented: indented).utf8.elementsEqual(text.utf8))
  }
  return 0
}
