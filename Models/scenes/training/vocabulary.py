"""The SentencePiece vocabulary: BPE with byte fallback, trained on the questions, the answers and the project's own prose
of the day: vocabulary.model is the one that the shipped weights know."""

import glob
import os

import sentencepiece

import questions
import scenes

SIZE = 1024
BEFORE = "USER: "
AFTER = "\n{question} ASSISTANT:"
ANSWER = " {answer}"


def corpus(count=3000):
    for seed in range(count):
        _, items, _ = scenes.scene(scenes.SPLITS["train"] + seed)
        for _, question, answer in questions.questions(seed, items, 24):
            yield BEFORE
            yield question + " ASSISTANT:" + ANSWER.format(answer=answer)
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
    for path in sorted(glob.glob(os.path.join(root, "*.md"))):
        with open(path) as f:
            yield from (line.strip() for line in f if line.strip())


def train(path):
    lines = list(corpus())
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_prefix=path, vocab_size=SIZE, model_type="bpe", byte_fallback=True, split_digits=True,
        add_dummy_prefix=False, remove_extra_whitespaces=False, normalization_rule_name="identity", character_coverage=1.0,
        unk_id=0, bos_id=1, eos_id=2, pad_id=-1, num_threads=1, shuffle_input_sentence=False)


def load(path):
    return sentencepiece.SentencePieceProcessor(model_file=path + ".model")


if __name__ == "__main__":
    import sys
    train(sys.argv[1])
    p = load(sys.argv[1])
    for text in (BEFORE, AFTER.format(question="In which part of the picture is the large blue car?"), " 42", " a small red star and a sign that says pizza", "\nHow many flowers do you see? ASSISTANT:"):
        print(p.encode(text, out_type=str))
