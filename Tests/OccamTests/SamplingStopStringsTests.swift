import Occam
import Testing

@Suite struct StopStringsTests {
  /// Pieces shown while the text streams, then what the end releases.
  static func stream(_ stops: [String], _ pieces: [String]) -> (shown: [String], rest: String, found: String?) {
    var matcher = StopStrings(stops)
    let shown = pieces.map { matcher.push($0) }
    return (shown, matcher.finish(), matcher.found)
  }

  @Test func textIsCutExactlyAtTheStopString() {
    let result = StopStringsTests.stream(["</s>"], ["Hello", " wor", "ld</", "s> and more", "x"])
    #expect(result.shown == ["Hello", " wor", "ld", "", ""])
    #expect(result.rest == "")
    #expect(result.found == "</s>")
  }

  @Test func onlyAPossibleBeginningIsHeldBack() {
    let result = StopStringsTests.stream(["User:", "###"], ["a U", "se", "d #", "#x", "Us"])
    #expect(result.shown == ["a ", "", "Used ", "##x", ""])
    #expect(result.rest == "Us")
    #expect(result.found == nil)
  }

  @Test func withoutStopStringsNothingIsHeld() {
    #expect(StopStringsTests.stream(["", ""], ["a", "b"]) == (["a", "b"], "", nil))
  }

  @Test func overlappingBeginnings() {
    #expect(StopStringsTests.stream(["aab"], ["aa", "a", "b"]).shown == ["", "a", ""])
    #expect(StopStringsTests.stream(["aab"], ["aa", "a", "b"]).found == "aab")
    #expect(StopStringsTests.stream(["abab"], ["ababab"]).shown == [""])
    #expect(StopStringsTests.stream(["abac"], ["ab", "ab", "ac"]).shown.joined() == "ab")
  }

  @Test func theFirstCompleteStopWinsWhateverThePieces() {
    let text = "xxabcdyybcd"
    let stops = ["abcd", "bc", "yy"]
    var expected: String?
    for size in 1...text.count {
      let characters = Array(text)
      let pieces = stride(from: 0, to: characters.count, by: size).map {
        String(characters[$0..<min($0 + size, characters.count)])
      }
      let result = StopStringsTests.stream(stops, pieces)
      #expect(result.shown.joined() == expected ?? "xxa")
      #expect(result.found == "bc")
      expected = result.shown.joined()
    }
    #expect(StopStringsTests.stream(["c", "abc"], ["abc"]).shown == [""])
  }

  @Test func lettersOfSeveralBytes() {
    let result = StopStringsTests.stream(["é😀"], ["caf", "é", "é", "😀", "z"])
    #expect(result.shown == ["caf", "", "é", "", ""])
    #expect(result.found == "é😀")
    // Bytes are compared: the same letter from two scalars is another text.
    #expect(StopStringsTests.stream(["\u{E9}"], ["e\u{301}"]).found == nil)
  }

  @Test func everyDivisionShowsTheSameText() {
    let text = "The answer.\n### User: no ###"
    for stop in ["### User:", "\n", "ans", "T", "###", "absent"] {
      let range = text.firstRange(of: stop)
      let expected = range.map { String(text[..<$0.lowerBound]) } ?? text
      for cut in 0...text.count {
        let pieces = [String(text.prefix(cut)), String(text.dropFirst(cut))]
        let result = StopStringsTests.stream([stop], pieces)
        #expect(result.shown.joined() + result.rest == expected)
        #expect((result.found != nil) == (range != nil))
      }
    }
  }
}
