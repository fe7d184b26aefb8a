#!/usr/bin/env python3
"""Makes a report, Markdown with PNG plots, from results files of occam-eval.

    python bench/eval/report.py --results results.jsonl --out report

Everything in it is computed from the results files; the images of the gallery are read from the paths in them.
"""

import argparse
import collections
import itertools
import pathlib

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from results import ABLATIONS, EXACT, METHODS, RIVALS, TYPES, Results, jaccard, rank_correlation

# What OccamToken is asked to keep, by the share of tokens: relative accuracy in percent.
GOALS = {22.0: 99, 11.0: 98, 5.6: 97}
COLOURS = dict(zip(METHODS, ("black", "C3", "C0", "C1", "C2", "C4", "C7", "C5", "C6", "C8", "C9")))


def number(value, digits=1):
    return "-" if value is None or value != value else f"{value:.{digits}f}"


class Report:
    def __init__(self, results, folder):
        self.results, self.folder = results, folder
        self.lines = []
        folder.mkdir(parents=True, exist_ok=True)

    # Writing

    def text(self, *paragraphs):
        for paragraph in paragraphs:
            self.lines += [paragraph, ""]

    def table(self, header, rows):
        self.lines.append("| " + " | ".join(header) + " |")
        self.lines.append("|" + "|".join([" --- "] + [" ---: "] * (len(header) - 1)) + "|")
        self.lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
        self.lines.append("")

    def figure(self, figure, name, caption):
        figure.tight_layout()
        figure.savefig(self.folder / f"{name}.png", dpi=110)
        plt.close(figure)
        self.text(f"![{caption}]({name}.png)")

    # Parts

    def write(self):
        self.head()
        self.equal_count()
        self.equal_compute()
        self.by_type()
        self.adaptivity()
        self.questions()
        self.gallery()
        self.register()
        self.lambdas()
        self.cells()
        self.times()
        (self.folder / "report.md").write_text("\n".join(self.lines), encoding="utf-8")

    def head(self):
        base = self.results.baseline
        self.text("# Visual-token pruning compared")
        run = self.results.runs[0] if self.results.runs else {}
        files = ", ".join(f"{run[key]['name']} ({run[key]['fingerprint']})" for key in ("model", "mmproj") if key in run)
        images = len({record["image"] for record in base.records})
        self.text(
            f"Model: {files}. Options: {run.get('options', '-')}. {len(base.records)} questions about {images} images, "
            f"{base.total:.0f} visual tokens each. Greedy answers, exact match.",
            "*Exact* is the mean over the exact question types; *relative* is that over the unpruned model's. "
            "Brackets hold 95 % intervals from 1000 redraws of the images.")
        if self.results.partial:
            names = ", ".join(setting.key for setting in self.results.partial)
            self.text(f"Left out, because they were not asked the same questions as the unpruned model: {names}.")
        if base.exact == 0:
            self.text("**The unpruned model answers nothing right: nothing below can be relative to it.**")
        rows = [[kind, sum(record["type"] == kind for record in base.records), number(100 * base.accuracy(kind))]
                for kind in TYPES if base.accuracy(kind) is not None]
        self.text("Unpruned accuracy (descriptions: F1 of words, not part of the mean):")
        self.table(["type", "questions", "%"], rows + [["**exact**", "", number(100 * base.exact)]])

    @property
    def budgets(self):
        return sorted({setting.budget for setting in self.results.of("occamtoken")}, reverse=True)

    def share(self, budget):
        return 100 * budget / self.results.baseline.total

    def heading(self, budget):
        return f"{budget} ({self.share(budget):.1f} %)"

    def variants(self, method, kv_policy=None):
        """Settings of a method by what distinguishes them beside the budget."""
        settings = self.results.of(method, kv_policy)
        suffix = f" {kv_policy}" if kv_policy else ""
        if not settings:
            return {}
        # The mean methods' lambda1 is matched anew for every stage I.
        if method in RIVALS or method in ("mean", "mean-register"):
            return {method + suffix: settings}
        found = collections.OrderedDict()
        for setting in settings:
            found.setdefault((setting.lambda1, setting.layer), []).append(setting)
        if len(found) < 2:
            return {method + suffix: settings}
        names = {key: f"{method} layer={key[1]}" + (f" l1={key[0]:g}" if key[0] is not None else "") for key in found}
        return {names[key] + suffix: settings for key, settings in found.items()}

    def all_variants(self):
        """Every method under its own KV policy, then those that were also run under the other."""
        for method in METHODS[1:]:
            for name, settings in self.variants(method).items():
                yield method, name, settings
        for method, policy in (("fastv", "compact"), ("occamtoken", "keep")):
            for name, settings in self.variants(method, policy).items():
                yield method, name, settings

    def ours(self):
        """OccamToken's variants, under its own KV policy and under FastV's."""
        return [pair for policy in (None, "keep") for pair in self.variants("occamtoken", policy).items()]

    def cell(self, setting):
        low, high = 100 * self.results.interval(setting)
        return f"{100 * self.results.relative(setting):.1f} [{low:.1f}, {high:.1f}] @ {setting.kept:.1f}"

    def equal_count(self):
        self.text("## At the same mean number of kept tokens",
                  "Relative accuracy in percent, its interval, and the mean number of tokens that were really kept. "
                  "Adaptive methods got their lambda2 on the calibration questions. Cells of dropped tokens leave the layers "
                  "before stage II (`compact`) except where `keep` is said; FastV keeps them, as published.")
        budgets = self.budgets
        rows = []
        for method, name, settings in self.all_variants():
            by = {setting.budget: setting for setting in settings}
            if any(budget in by for budget in budgets):
                label = f"*{name}*" if method in ABLATIONS else f"**{name}**" if name == "occamtoken" else name
                rows.append([label] + [self.cell(by[budget]) if budget in by else "-" for budget in budgets])
        self.table(["method"] + [self.heading(budget) for budget in budgets], rows)
        self.verdict(budgets)
        self.curves("kept", "kept tokens, mean", lambda setting: setting.kept)

    def verdict(self, budgets):
        rows = []
        for budget in budgets:
            for name, settings in self.ours():
                ours = next((setting for setting in settings if setting.budget == budget), None)
                if ours is None:
                    continue
                goal = next((value for share, value in GOALS.items() if abs(self.share(budget) - share) < 0.5), None)
                relative = 100 * self.results.relative(ours)
                mixes = {method: self.results.at(method, "kept", ours.kept) for method in RIVALS}
                row = [self.heading(budget), name, number(ours.kept), number(relative),
                       "-" if goal is None or relative != relative else
                       f"{goal}: {'met' if relative >= goal else 'missed'}"]
                rows.append(row + self.best(ours, mixes))
        self.text("OccamToken against its goals and against the best rival, each rival read off its own curve at the count that "
                  "OccamToken really kept (linear in the logarithm between neighbouring runs); points of relative accuracy:")
        self.table(["tokens", "setting", "kept", "relative %", "goal", "best rival", "difference", "verdict"], rows)

    def curves(self, name, label, axis):
        figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), sharey=True)
        for axes_index, methods in enumerate((("occamtoken",) + RIVALS, ("occamtoken",) + ABLATIONS)):
            plot = axes[axes_index]
            for method in methods:
                for variant, (title, settings) in enumerate(self.variants(method).items()):
                    points = sorted((axis(setting), 100 * self.results.relative(setting)) for setting in settings)
                    plot.plot(*zip(*points), marker="o", ms=4, label=title, color=COLOURS[method],
                              ls=("-", "--", ":", "-.")[variant % 4], lw=2 if method == "occamtoken" else 1.2)
            plot.set_xscale("log", base=2)
            plot.xaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
            plot.set_xlabel(label)
            plot.grid(alpha=0.3)
            if plot.lines:
                plot.legend(fontsize=8)
        axes[0].set_ylabel("relative accuracy, %")
        axes[0].set_title("rivals")
        axes[1].set_title("ablations")
        self.figure(figure, name, f"relative accuracy against {label}")

    def equal_compute(self):
        self.text("## At equal compute",
                  "The axis is the mean number of rows of visual tokens, registers included, that a text layer really "
                  "processed in prefill. Rivals are read off their own curve at OccamToken's figure: linear in the "
                  "logarithm of the figure between neighbouring runs, never beyond the ends (`-`).")
        methods = [method for method in RIVALS + ABLATIONS if self.results.of(method)]
        rows = []
        for name, settings in self.ours():
            for ours in sorted(settings, key=lambda setting: -setting.budget):
                row = [f"{self.heading(ours.budget)} {name}", number(ours.per_layer),
                       number(100 * self.results.relative(ours))]
                mixes = {method: self.results.at(method, "per_layer", ours.per_layer) for method in methods}
                row += [number(100 * self.results.mixed(mix)) if mix else "-" for mix in mixes.values()]
                rows.append(row + self.best(ours, mixes))
        self.table(["tokens kept", "rows/layer", "OccamToken", *methods, "best rival", "difference", "verdict"], rows)
        self.curves("compute", "visual rows a layer, mean", lambda setting: setting.per_layer)

    def best(self, ours, mixes):
        """The best rival's name, the difference to it in points with its interval, and what that says."""
        rivals = {method: mix for method, mix in mixes.items() if mix and method in RIVALS}
        best = max(rivals, key=lambda method: self.results.mixed(rivals[method]), default=None)
        if best is None:
            return ["-", "-", "-"]
        difference, low, high = self.results.difference(ours, rivals[best])
        word = "above" if low > 0 else "below" if high < 0 else "no clear difference"
        return [best, f"{difference:+.1f} [{low:+.1f}, {high:+.1f}]", word]

    def by_type(self):
        kinds = [kind for kind in TYPES if self.results.baseline.accuracy(kind) is not None]
        self.text("## By question type", "Accuracy in percent (descriptions: word F1).")
        rows = [["unpruned", ""] + [number(100 * self.results.baseline.accuracy(kind)) for kind in kinds]]
        for budget in self.budgets:
            for method, name, settings in self.all_variants():
                for setting in settings:
                    if setting.budget == budget:
                        rows.append([name, self.heading(budget)]
                                    + [number(100 * setting.accuracy(kind)) for kind in kinds])
        self.table(["method", "tokens"] + kinds, rows)

    @property
    def shown(self):
        """OccamToken's settings for the parts about adaptivity: its first variant's, by budget."""
        variants = list(self.variants("occamtoken").values())
        if variants:
            return sorted(variants[0], key=lambda setting: -setting.budget)
        return [s for s in self.results.settings if s.method == "occamtoken" and s.kv_policy == "compact"]

    def name(self, setting):
        return f"{setting.budget} tokens" if setting.budget else f"lambda2 {setting.lambda2:g}"

    def adaptivity(self):
        settings = self.shown
        self.text("## Adaptivity", "How many tokens OccamToken kept, question by question.")
        if not settings:
            self.text("No settings of OccamToken in these results.")
            return
        figure, axes = plt.subplots(1, len(settings), figsize=(3.2 * len(settings), 3), squeeze=False)
        for plot, setting in zip(axes[0], settings):
            kept = [record["kept"] for record in setting.records]
            plot.hist(kept, bins=min(30, max(kept) - min(kept) + 1), color="C3")
            plot.axvline(np.mean(kept), color="black", lw=1)
            plot.set_title(self.name(setting), fontsize=9)
            plot.set_xlabel("kept tokens")
        axes[0][0].set_ylabel("questions")
        self.figure(figure, "histogram", "histogram of kept tokens")
        rows = []
        for setting in settings:
            kept = np.array([record["kept"] for record in setting.records])
            rows.append([self.name(setting), number(kept.mean()), number(kept.std())]
                        + [int(np.percentile(kept, p)) for p in (0, 5, 25, 50, 75, 95, 100)])
        self.table(["setting", "mean", "deviation", "least", "5 %", "25 %", "median", "75 %", "95 %", "most"], rows)
        self.crowdedness(settings)
        kinds = [kind for kind in TYPES if self.results.baseline.accuracy(kind) is not None]
        self.text("### By question type", "Mean kept tokens.")
        self.table(["setting"] + kinds, [
            [self.name(s)] + [number(np.mean([r["kept"] for r in s.records if r["type"] == kind])) for kind in kinds]
            for s in settings])

    def crowdedness(self, settings):
        counts = sorted({record["objects"] for record in self.results.baseline.records if "objects" in record})
        self.text("### By crowdedness")
        if not counts:
            self.text("The questions do not say how crowded their scenes are.")
            return
        self.text("Mean kept tokens by the number of objects in the scene; rho is Spearman's rank correlation over all "
                  "questions, of the tokens behind stage I and of those kept in the end.")
        figure, axes = plt.subplots(1, 2, figsize=(10, 3.6))
        rows = []
        for setting in settings:
            records = [record for record in setting.records if "objects" in record]
            means = [np.mean([r["kept"] for r in records if r["objects"] == count]) for count in counts]
            objects = [r["objects"] for r in records]
            rows.append([self.name(setting)] + [number(mean) for mean in means] + [
                number(rank_correlation(objects, [r["stage1"] for r in records]), 2),
                number(rank_correlation(objects, [r["kept"] for r in records]), 2)])
            axes[1].plot(counts, means, marker="o", ms=4, label=self.name(setting))
        first = [np.mean([r["stage1"] for r in settings[0].records if r.get("objects") == count]) for count in counts]
        axes[0].plot(counts, first, marker="o", ms=4, color="black")
        axes[0].set_title("behind stage I", fontsize=9)
        axes[1].set_title("kept", fontsize=9)
        axes[1].set_yscale("log", base=2)
        axes[1].yaxis.set_major_formatter(matplotlib.ticker.FormatStrFormatter("%g"))
        for plot in axes:
            plot.set_xlabel("objects")
            plot.grid(alpha=0.3)
        axes[0].set_ylabel("tokens, mean")
        axes[1].legend(fontsize=8)
        self.figure(figure, "crowdedness", "kept tokens by crowdedness")
        self.table(["setting"] + [str(count) for count in counts] + ["rho stage I", "rho kept"], rows)

    def questions(self):
        self.text("## Different questions about one image",
                  "Jaccard index of the tokens kept for two questions about the same image, mean over all pairs: 1 is the "
                  "same tokens for every question. *Spread* is the mean difference between the most and the fewest tokens "
                  "kept for one image.")
        rows = []
        for method in ("occamtoken", "fastv", "cdpruner", "divprune"):
            for setting in (self.shown if method == "occamtoken" else self.results.of(method)[::-1]):
                if method != "occamtoken" and setting.budget not in self.budgets:
                    continue
                groups = collections.defaultdict(list)
                for record in setting.records:
                    if "kept_indices" in record:
                        groups[record["image"]].append(record)
                pairs = [(a, b) for group in groups.values() for a, b in itertools.combinations(group, 2)]
                if not pairs:
                    continue
                def mean(chosen):
                    values = [jaccard(a["kept_indices"], b["kept_indices"]) for a, b in chosen]
                    return number(np.mean(values), 3) if values else "-"
                spread = np.mean([max(r["kept"] for r in g) - min(r["kept"] for r in g) for g in groups.values()])
                rows.append([method, self.name(setting), len(pairs), mean(pairs),
                             mean([p for p in pairs if p[0]["type"] == p[1]["type"]]),
                             mean([p for p in pairs if p[0]["type"] != p[1]["type"]]), number(spread)])
        self.table(["method", "setting", "pairs", "Jaccard", "same type", "other type", "spread"], rows)

    # Gallery

    def gallery(self):
        self.text("## Keep maps")
        settings = [setting for setting in self.shown if "kept_indices" in setting.records[0]]
        if not settings:
            self.text("No kept tokens in these results.")
            return
        setting = settings[len(settings) // 2]
        groups = collections.OrderedDict()
        for record in setting.records:
            if pathlib.Path(record["image"]).exists():
                groups.setdefault(record["image"], []).append(record)
        if not groups:
            self.text("The images of the results are not there.")
            return
        ranked = sorted(groups.values(), key=lambda group: np.mean([record["kept"] for record in group]))
        picks = [ranked[i] for i in sorted({int(q * (len(ranked) - 1)) for q in (0.02, 0.25, 0.5, 0.75, 0.98)})]
        columns = 4
        figure, axes = plt.subplots(len(picks), columns + 1, figsize=(2.3 * (columns + 1), 2.6 * len(picks)), squeeze=False)
        for row, group in zip(axes, picks):
            canvas = self.canvas(group[0]["image"])
            row[0].imshow(canvas)
            row[0].set_title(f"{group[0].get('objects', '?')} objects", fontsize=7)
            # One question a type first, so that different ones stand beside each other.
            order = sorted(group, key=lambda r: (sum(o["type"] == r["type"] for o in group[:group.index(r)]),
                                                 TYPES.index(r["type"])))
            for plot, record in zip(row[1:], order):
                plot.imshow(self.keep_map(canvas, record))
                question = "\n".join(self.wrap(record["question"], 30))
                plot.set_title(f"{question}\n{record['answer'][:28]} ({record['kept']} kept)", fontsize=6)
            for plot in row:
                plot.axis("off")
        self.text(f"OccamToken at {self.name(setting)}: dropped by stage I grey, by stage II blue.")
        self.figure(figure, "gallery", "images with dropped patches dimmed")

    @staticmethod
    def wrap(text, width):
        lines, line = [], ""
        for word in text.split():
            if line and len(line) + 1 + len(word) > width:
                lines.append(line)
                line = word
            else:
                line = f"{line} {word}".strip()
        return lines + [line]

    @staticmethod
    def canvas(path, side=336):
        """The picture as the encoder sees it: scaled to fit a square, centred on CLIP's mean colour."""
        picture = Image.open(path).convert("RGB")
        scale = side / max(picture.size)
        size = tuple(max(1, round(length * scale)) for length in picture.size)
        result = Image.new("RGB", (side, side), (122, 116, 104))
        result.paste(picture.resize(size, Image.BICUBIC), ((side - size[0]) // 2, (side - size[1]) // 2))
        return np.asarray(result)

    @staticmethod
    def keep_map(canvas, record):
        grid = round(record["total"] ** 0.5)
        if grid * grid != record["total"]:
            return canvas
        kept, first = set(record["kept_indices"]), set(record["stage1_indices"])
        result = canvas.astype(float)
        edges = np.linspace(0, len(canvas), grid + 1).astype(int)
        for patch in range(record["total"]):
            if patch in kept:
                continue
            y, x = divmod(patch, grid)
            window = result[edges[y]:edges[y + 1], edges[x]:edges[x + 1]]
            if patch in first:
                window[:] = 0.3 * window + 0.7 * np.array([50, 80, 170])
            else:
                window[:] = 0.25 * window.mean(axis=2, keepdims=True) + 30
        return result.astype(np.uint8)

    # The rest

    def register(self):
        self.text("## The register",
                  "n_eff is the effective number of patches that the class token's attention is spread over, exp of its "
                  "entropy; mean over the images.")
        rows, kinds = [], {}
        for label, methods in (("without a register", ("off",)), ("with the register", ("occamtoken", "mean-register"))):
            setting = next((s for method in methods for s in self.results.settings
                            if s.method == method and "register=none" not in s.key and "n_eff" in s.records[0]), None)
            if setting:
                images = {record["image"]: record["n_eff"] for record in setting.records}
                kinds[label] = setting.key.split("register=")[-1] if "register=" in setting.key else "-"
                rows.append([label, kinds[label], number(np.mean(list(images.values()))),
                             number(np.std(list(images.values())))])
        self.table(["encoder", "register neurons", "n_eff", "deviation"], rows)
        ours = {s.key.split("register=")[-1] for s in self.results.settings if s.method == "occamtoken"}
        if "neutral" in ours:
            self.text("The register is neutral: calibration found no outlier patches in this encoder, so that no neurons move "
                      "activations to it, and it takes part in the softmax as one more token.")
        if "none" in ours:
            self.text("OccamToken held scores against their mean, without a register: the encoder is not calibrated, or its "
                      "calibration measured that a register costs the answers more.")

    def lambdas(self):
        groups = collections.defaultdict(list)
        for setting in self.results.settings:
            if setting.method == "occamtoken" and setting.kv_policy == "compact":
                groups[(setting.lambda1, setting.layer)].append(setting)
        groups = {key: sorted(group, key=lambda s: s.lambda2) for key, group in groups.items() if len(group) > 1}
        self.text("## Lambda curves")
        if not groups:
            self.text("Fewer than two lambda2 at one lambda1 in these results.")
            return
        figure, axes = plt.subplots(1, 2, figsize=(10, 3.6))
        for (first, layer), group in groups.items():
            label = f"lambda1 {first:g}, layer {layer}"
            x = [setting.lambda2 for setting in group]
            axes[0].plot(x, [setting.kept for setting in group], marker="o", ms=3, label=label)
            axes[1].plot(x, [100 * self.results.relative(setting) for setting in group], marker="o", ms=3, label=label)
        for plot, label in zip(axes, ("kept tokens, mean", "relative accuracy, %")):
            plot.set_xlabel("lambda2")
            plot.set_ylabel(label)
            plot.grid(alpha=0.3)
        axes[0].legend(fontsize=8)
        self.figure(figure, "lambdas", "lambda2 against kept tokens and accuracy")
        self.table(["lambda1", "layer", "lambda2", "stage I", "kept", "rows/layer", "relative %", "exact %"], [
            [f"{s.lambda1:g}", s.layer, f"{s.lambda2:.4g}", number(s.mean("stage1")), number(s.kept), number(s.per_layer),
             number(100 * self.results.relative(s)), number(100 * s.exact)] for group in groups.values() for s in group])

    def cells(self):
        self.text("## KV cells of dropped tokens: compact against keep",
                  "The same lambdas; `keep` leaves the cells of the layers up to stage II. Cells are those of all layers "
                  "together at the end of an answer; memory comes in blocks of 64 cells a layer.")
        found = collections.defaultdict(dict)
        for s in self.results.settings:
            if s.kv_policy and s.method == "occamtoken":
                found[(s.lambda1, s.lambda2, s.layer)][s.kv_policy] = s
        rows = []
        for both in found.values():
            if len(both) < 2:
                continue
            compact, keep = both["compact"], both["keep"]
            difference, low, high = self.results.difference(compact, keep)
            same = np.mean([a["answer"] == b["answer"] for a, b in zip(
                *(sorted(s.records, key=lambda r: r["id"]) for s in (compact, keep)))])
            rows.append([number(compact.kept), f"{compact.lambda2:.4g}"]
                        + [number(100 * self.results.relative(s)) for s in (compact, keep)]
                        + [f"{difference:+.1f} [{low:+.1f}, {high:+.1f}]", number(100 * same)]
                        + [number(s.mean("kv_cells")) for s in (compact, keep)]
                        + [number(s.mean("kv_bytes") / 1024) for s in (compact, keep)]
                        + [number(compact.mean("kv_bytes_unpruned") / 1024)])
        if rows:
            self.table(["kept", "lambda2", "compact %", "keep %", "difference", "same answers %", "cells compact",
                        "cells keep", "KiB compact", "KiB keep", "KiB unpruned"], rows)
        else:
            self.text("No setting was run with both policies.")

    def times(self):
        self.text("## Memory and time",
                  "Means an answer, milliseconds. Of encoding, the projector and the selection are measured with each "
                  "answer, the encoder itself once an image. Times are of the machine that ran it and drift with its load.")
        rows = []
        for setting in sorted(self.results.settings, key=lambda s: (METHODS.index(s.method), -s.kept)):
            rows.append([f"`{setting.key}`", number(setting.kept), number(setting.per_layer),
                         number(setting.mean("kv_bytes") / 1024)]
                        + [number(setting.mean(name), 2) for name in ("encode_ms", "prefill_ms", "ttft_ms")])
        self.table(["setting", "kept", "rows/layer", "KV KiB", "encode", "prefill", "first token"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", nargs="+", required=True, help="files written by occam-eval --results")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="folder for report.md and its plots")
    arguments = parser.parse_args()
    Report(Results(arguments.results), arguments.out).write()
    print(arguments.out / "report.md")


if __name__ == "__main__":
    main()
