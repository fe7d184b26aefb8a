"""Loss and accuracy over the training, from its log, as one PNG."""

import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def rows(path, stage):
    """The log's rows of one stage; of a step logged twice (after a resumption) the later one."""
    found = {}
    with open(path) as f:
        for line in f:
            row = json.loads(line)
            if row["stage"] == stage:
                found[row["step"]] = row
    return [found[k] for k in sorted(found)]


def draw(log, out):
    figure, axes = plt.subplots(2, 2, figsize=(11, 7), constrained_layout=True)
    for column, (stage, title) in enumerate((("vision", "vision encoder, dense labels"), ("alignment", "decoder, questions"))):
        found = rows(log, stage)
        images = [r["images"] / 1000 for r in found]
        axes[0][column].plot(images, [r["loss"] for r in found])
        axes[0][column].set(title=title, ylabel="training loss", yscale="log")
        checked = [r for r in found if "validation" in r]
        for name in checked[-1]["validation"] if checked else []:
            if name != "loss":
                axes[1][column].plot([r["images"] / 1000 for r in checked], [r["validation"].get(name) for r in checked], label=name)
        axes[1][column].set(xlabel="images seen, thousands", ylabel="validation accuracy", ylim=(0, 1))
        axes[1][column].grid(alpha=0.3)
        if checked:
            axes[1][column].legend(fontsize=7)
    figure.savefig(out, dpi=90)


if __name__ == "__main__":
    draw(*sys.argv[1:3])
