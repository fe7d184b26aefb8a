"""Loss and accuracy over the training, from its log, as one PNG."""

import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def rows(path, stages):
    """The log's rows of stages that follow each other, images counted on; of a step logged twice (after a resumption) the
    later one."""
    out = []
    with open(path) as f:
        logged = [json.loads(line) for line in f]
    for stage in stages:
        found = {row["step"]: row for row in logged if row["stage"] == stage}
        before = out[-1]["images"] if out else 0
        out += [dict(found[k], images=before + found[k]["images"]) for k in sorted(found)]
    return out


def draw(log, out):
    figure, axes = plt.subplots(2, 2, figsize=(11, 7), constrained_layout=True)
    columns = ((["vision"], "vision encoder, dense labels"), (["alignment", "joint"], "decoder, questions"))
    for column, (stages, title) in enumerate(columns):
        found = rows(log, stages)
        images = [r["images"] / 1000 for r in found]
        axes[0][column].plot(images, [r["loss"] for r in found])
        joined = [i for i, r in zip(images, found) if r["stage"] == "joint"]
        if joined:  # from here on, all parts
            for axis in axes[:, column]:
                axis.axvline(joined[0], color="grey", lw=0.8)
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
