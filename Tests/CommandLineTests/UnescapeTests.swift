import OccamCommandLine
import Testing

/// llama.cpp's rules (common/common.cpp, `string_process_escapes`), place by place.
@Suite struct UnescapeTests {
  @Test(arguments: [
    ("", ""), ("plain", "plain"), ("a\\nb", "a\nb"), ("\\r\\t\\'\\\"\\\\", "\r\t'\"\\"), ("\\\\n", "\\n"),
    ("\\x41\\x7a", "Az"), ("\\xc3\\xA9", "é"), ("\\x00", "\0"), ("\\xff", "\u{FFFD}"), ("end\\", "end\\"),
    ("\\q\\0", "\\q\\0"), ("\\x", "\\x"), ("\\x4", "\\x4"), ("\\x41", "A"), ("\\x4g", "\\x4g"), ("\\xg4", "\\xg4"),
    ("\\x 4", "\u{4}"), ("\\x+4", "\u{4}"), ("\\x-1", "\u{FFFD}"), ("\\x0x", "\\x0x"), ("\\é\\n", "\\é\n"),
    ("\\x\\n1", "\\x\n1"), ("\\x412", "A2"), ("\n\\n", "\n\n"),
  ]) func rules(text: String, expected: String) {
    #expect(unescape(text).utf8.elementsEqual(expected.utf8), "\(unescape(text).debugDescription)")
  }
}
