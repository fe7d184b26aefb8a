#!/usr/bin/env python3
"""Question sets that papers report, from the files their makers publish, and their own measures.

    python bench/eval/public_sets.py convert textvqa TextVQA_0.5.1_val.json --images train_images --out textvqa.jsonl
    python bench/eval/public_sets.py convert gqa testdev_balanced_questions.json --images images --out gqa.jsonl
    python bench/eval/public_sets.py convert pope coco_pope_random.json coco_pope_popular.json \\
        coco_pope_adversarial.json --images val2014 --out pope.jsonl
    python bench/eval/public_sets.py score results.jsonl

`convert` writes what occam-eval reads; with --calibration FILE the questions of some pictures go there instead, so that
thresholds are never chosen on what is asked. `score` reads results of occam-eval and prints each setting's accuracy as
the set's own evaluation computes it: TextVQA's soft accuracy over ten annotators, GQA's exact answers, POPE's yes and
no with F1.
"""
import argparse
import collections
import json
import os
import pathlib
import re
import sys

# Behind every question, as LLaVA's evaluation and lmms-eval ask these sets.
SHORT = "\nAnswer the question using a single word or phrase."


def fail(message):
    sys.exit(f"public_sets.py: {message}")


def read(path):
    """A JSON file, or one with a JSON value a line."""
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"cannot read {path}: {error}")
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        pass
    try:
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    except json.JSONDecodeError as error:
        fail(f"{path}: neither JSON nor JSON lines ({error})")


def textvqa(path):
    """`data`: questions with ten answers each; pictures are called after `image_id`."""
    for entry in read(path)["data"]:
        answers = entry["answers"]
        by_count = [answer for answer, _ in collections.Counter(answers).most_common()]
        yield {
            "id": f"textvqa-{entry['question_id']}", "image": f"{entry['image_id']}.jpg", "question": entry["question"],
            "answer": [answer for answer in by_count if answer.strip()] or ["unanswerable"], "type": "reading",
            "set": "textvqa", "annotations": answers,
        }


def gqa(path):
    """Questions by their number; pictures are called after `imageId`."""
    for number, entry in read(path).items():
        yield {
            "id": f"gqa-{number}", "image": f"{entry['imageId']}.jpg", "question": entry["question"],
            "answer": entry["answer"], "type": "relation", "set": "gqa",
        }


def pope(path):
    """One question a line: `image`, `text`, `label`. The split is the end of the file's name."""
    split = pathlib.Path(path).stem.split("_")[-1]
    for entry in read(path):
        yield {
            "id": f"pope-{split}-{entry['question_id']}", "image": entry["image"], "question": entry["text"],
            "answer": entry["label"].lower(), "type": "existence", "set": "pope", "split": split,
        }


SETS = {"textvqa": textvqa, "gqa": gqa, "pope": pope}


def convert(arguments):
    try:
        questions = [question for path in arguments.files for question in SETS[arguments.set](path)]
    except (AttributeError, KeyError, TypeError) as error:
        fail(f"not a file of {arguments.set}: {error!r}")
    images = list(dict.fromkeys(question["image"] for question in questions))
    for name in images:
        if not (arguments.images / name).is_file():
            fail(f"{arguments.images / name} is missing, which {arguments.set} asks about")
    chosen = set()
    if arguments.calibration:
        count = min(arguments.calibration_images, len(images) // 2)
        chosen = {images[index * len(images) // count] for index in range(count)} if count else set()
    for path, wanted in ((arguments.out, False), (arguments.calibration, True)):
        if path is None:
            continue
        folder = os.path.relpath(arguments.images, path.parent)
        rows = [question for question in questions if (question["image"] in chosen) == wanted]
        with path.open("w", encoding="utf-8") as file:
            for row in rows:
                whole = row | {"image": f"{folder}/{row['image']}", "question": row["question"] + SHORT}
                file.write(json.dumps(whole, ensure_ascii=False) + "\n")
        print(f"{path}: {len(rows)} questions about {len({row['image'] for row in rows})} pictures")


# MARK: answers as TextVQA's challenge compares them, quirks included
# (facebookresearch/mmf, mmf/utils/m4c_evaluators.py, `EvalAIAnswerProcessor`)

ARTICLES = {"a", "an", "the"}
NUMBERS = {word: str(number) for number, word in enumerate(
    "zero one two three four five six seven eight nine ten".split())} | {"none": "0"}
PUNCTUATION = ';/[]"{}()=+\\_-><@`!'
CONTRACTIONS = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've
    he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've needn't not've
    o'clock oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's
    someone'd someone'd've someone'll someone's something'd something'd've something'll that's there'd there'd've
    there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's
    what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't would've
    wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've""".split()
# A contraction that lacks one of its apostrophes.
MISSPELT = {
    word[:index] + word[index + 1 :]: word
    for word in CONTRACTIONS
    for index, letter in enumerate(word)
    if letter == "'"
} | {"somebody'd": "somebodyd"}


def normalised(text):
    text = text.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip()
    text = whole = re.sub(r"[\n\t]", " ", text).strip()
    for mark in PUNCTUATION:
        # A mark beside a space goes everywhere, one inside words alone parts them.
        text = text.replace(mark, "" if f"{mark} " in whole or f" {mark}" in whole else " ")
    text = re.sub(r"\.(?!\d)", "", text)
    words = [NUMBERS.get(word, word) for word in text.split()]
    return " ".join(MISSPELT.get(word, word) for word in words if word not in ARTICLES)


def textvqa_score(record):
    """A third for each other annotator who gave the answer, at most 1, mean over who is left out."""
    given = normalised(record["answer"])
    answers = [normalised(answer) for answer in record["extra"]["annotations"]]
    shares = []
    for index in range(len(answers)):
        others = answers[:index] + answers[index + 1 :]
        shares.append(min(1, others.count(given) / 3))
    return sum(shares) / len(shares)


def gqa_score(record):
    def plain(text):
        return re.sub(r"[^\w\s]", "", text.lower()).strip()

    return float(plain(record["answer"]) == plain(record["expected"][0]))


def says_yes(answer):
    """No, where the first sentence says no or not; else yes (POPE's evaluation, arXiv 2305.10355)."""
    first = re.sub(r"[^\w\s]", " ", answer.split(".")[0].lower()).split()
    return not {"no", "not"} & set(first)


def pope_score(record):
    return float(says_yes(record["answer"]) == (record["expected"][0] == "yes"))


SCORES = {"textvqa": textvqa_score, "gqa": gqa_score, "pope": pope_score}


def f1(records):
    """Of yes."""
    said = [says_yes(record["answer"]) for record in records]
    meant = [record["expected"][0] == "yes" for record in records]
    right = sum(a and b for a, b in zip(said, meant))
    return 2 * right / max(1, sum(said) + sum(meant))


def score(arguments):
    groups = collections.defaultdict(list)
    for path in arguments.results:
        for record in read(path):
            name = record.get("extra", {}).get("set")
            if name in SCORES:
                groups[name, record["setting"]].append(record)
    if not groups:
        fail("no answer to a converted question")
    print("| set | setting | answers | tokens | kept | accuracy | relative | F1 |")
    print("|---|---|--:|--:|--:|--:|--:|--:|")
    unpruned = {}
    ordered = sorted(groups.items(), key=lambda item: (item[0][0], item[1][0]["method"] != "off"))
    for (name, setting), records in ordered:
        accuracy = sum(map(SCORES[name], records)) / len(records)
        if records[0]["method"] == "off":
            unpruned[name] = accuracy
        relative = f"{100 * accuracy / unpruned[name]:.1f} %" if unpruned.get(name) else ""
        total, kept = (sum(record[key] for record in records) for key in ("total", "kept"))
        extra = f"{100 * f1(records):.1f}" if name == "pope" else ""
        print(
            f"| {name} | {setting} | {len(records)} | {total / len(records):.1f} | "
            f"{100 * kept / max(total, 1):.1f} % | {100 * accuracy:.2f} | {relative} | {extra} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("convert", help="write a question set")
    one.add_argument("set", choices=SETS)
    one.add_argument("files", nargs="+", help="the set's JSON files")
    one.add_argument("--images", required=True, type=pathlib.Path, help="folder of its pictures")
    one.add_argument("--out", required=True, type=pathlib.Path)
    one.add_argument("--calibration", type=pathlib.Path, help="where the questions of some pictures go instead")
    one.add_argument("--calibration-images", type=int, default=100, help="how many pictures, at most half of them")
    one.set_defaults(run=convert)
    other = commands.add_parser("score", help="accuracies as the sets define them")
    other.add_argument("results", nargs="+", help="files that occam-eval wrote")
    other.set_defaults(run=score)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
