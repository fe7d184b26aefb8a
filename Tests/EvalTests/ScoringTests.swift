import OccamEvalKit
import Testing

@Suite struct ScoringTests {
  private func question(_ type: QuestionType, _ answers: String...) -> EvalQuestion {
    EvalQuestion(id: "q", image: "i.png", question: "?", answers: answers, type: type)
  }

  @Test(arguments: [
    ("Yes", "yes"), (" a  red\tcircle. ", "a red circle"), ("3.", "3"), ("top left .", "top left"), ("...", ".."),
    ("", ""),
    ("\u{C4}pfel\n", "\u{E4}pfel"),
  ]) func normalising(text: String, wanted: String) {
    #expect(Scoring.normalized(text) == wanted)
  }

  @Test func exactTypesAreRightOrWrong() {
    #expect(Scoring.score("Yes.", question(.existence, "yes")) == 1)
    #expect(Scoring.score("yes it is", question(.existence, "yes")) == 0)
    #expect(Scoring.score("GREY", question(.attribute, "gray", "grey")) == 1)
    #expect(Scoring.score("13", question(.count, "3")) == 0)
    #expect(Scoring.score("", question(.count, "3")) == 0)
  }

  @Test func descriptionsGetTheF1OfTheirWords() {
    #expect(Scoring.score("A red circle!", question(.description, "a red circle")) == 1)
    // 2 common words of 3 and 4.
    #expect(abs(Scoring.wordF1("a red square", "one red big square") - 4.0 / 7) < 1e-12)
    // A repeated word counts as often as it is wanted.
    #expect(abs(Scoring.wordF1("red red red", "red blue") - 2.0 / 5) < 1e-12)
    #expect(Scoring.wordF1("", "red") == 0)
    #expect(Scoring.wordF1("blue", "red") == 0)
    #expect(
      Scoring.score("blue box", question(.description, "red", "a blue box")) == Scoring.wordF1("blue box", "a blue box")
    )
  }
}
