"""Reads results files of occam-eval and groups their answers by setting."""

import collections
import json

import numpy as np

EXACT = ("existence", "attribute", "count", "position", "relation", "reading")
TYPES = EXACT + ("description",)
# Paper's names first, ablations behind.
METHODS = (
    "off", "occamtoken", "fastv", "cls", "divprune", "cdpruner", "random",
    "occamtoken-fixed", "mean-register", "mean", "no-stage-one",
)
RIVALS = ("fastv", "cls", "divprune", "cdpruner", "random")
ABLATIONS = ("occamtoken-fixed", "mean-register", "mean", "no-stage-one")


class Setting:
    """All answers under one setting."""

    def __init__(self, key, records):
        first = records[0]
        self.key, self.records = key, records
        self.method = first["method"]
        self.budget = first.get("budget", first.get("target"))
        self.is_matched = "target" in first
        self.lambda1, self.lambda2 = first.get("lambda1"), first.get("lambda2")
        self.layer, self.kv_policy = first.get("layer"), first.get("kv_policy")
        self.total = self.mean("total")

    def mean(self, name):
        return float(np.mean([record[name] for record in self.records]))

    def accuracy(self, kind):
        """Share of right answers of one type (mean F1 for descriptions); None where it was not asked."""
        scores = [record["score"] for record in self.records if record["type"] == kind]
        return float(np.mean(scores)) if scores else None

    @property
    def exact(self):
        """Mean over the exact types that occur."""
        values = [value for value in map(self.accuracy, EXACT) if value is not None]
        return float(np.mean(values)) if values else float("nan")

    @property
    def kept(self):
        return self.mean("kept")

    @property
    def per_layer(self):
        return self.mean("visual_per_layer")

    @property
    def ids(self):
        return {record["id"] for record in self.records}


class Results:
    def __init__(self, paths):
        self.runs, groups = [], collections.OrderedDict()
        for path in paths:
            with open(path, encoding="utf-8") as lines:
                for number, line in enumerate(lines, 1):
                    if not line.strip():
                        continue
                    try:
                        record = json.loads(line)
                    except json.JSONDecodeError as error:
                        raise SystemExit(f"{path}:{number}: {error}") from error
                    if "run" in record:
                        self.runs.append(record["run"])
                    else:
                        groups.setdefault(record["setting"], {})[record["id"]] = record
        if len({json.dumps(run, sort_keys=True) for run in self.runs}) > 1:
            raise SystemExit("the results are of different models or options; report them apart")
        self.settings = [Setting(key, list(group.values())) for key, group in groups.items()]
        self.baseline = next((setting for setting in self.settings if setting.method == "off"), None)
        if self.baseline is None:
            raise SystemExit("no unpruned answers (method off) to hold the others against")
        self.whole = [setting for setting in self.settings if setting.ids == self.baseline.ids]
        self.partial = [setting for setting in self.settings if setting.ids != self.baseline.ids]
        self.settings = self.whole
        self._samples = None

    def relative(self, setting):
        return setting.exact / self.baseline.exact if self.baseline.exact > 0 else float("nan")

    def of(self, method, kv_policy=None):
        """Settings of one method with a budget or target, by budget, under one KV policy: the method's own if None."""
        policy = kv_policy or ("keep" if method == "fastv" else "compact")
        found = [setting for setting in self.settings if setting.method == method and setting.budget is not None
                 and setting.kv_policy in (None, policy)]
        return sorted(found, key=lambda setting: (setting.budget, setting.lambda1 or 0, setting.layer or 0))

    # Uncertainty: images are drawn anew with all their questions, the same draws for every setting.

    def _matrix(self, setting):
        images = self._images
        sums = np.zeros((len(images), len(EXACT)))
        counts = np.zeros_like(sums)
        for record in setting.records:
            if record["type"] in EXACT:
                place = images[record["image"]], EXACT.index(record["type"])
                sums[place] += record["score"]
                counts[place] += 1
        return sums, counts

    def _draws(self, setting, rounds=1000, seed=7):
        if self._samples is None:
            names = sorted({record["image"] for record in self.baseline.records})
            self._images = {name: index for index, name in enumerate(names)}
            generator = np.random.default_rng(seed)
            self._samples = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=rounds)
            self._cache = {}
        if setting.key not in self._cache:
            sums, counts = self._matrix(setting)
            with np.errstate(invalid="ignore", divide="ignore"):
                accuracy = (self._samples @ sums) / (self._samples @ counts)
            self._cache[setting.key] = np.nanmean(accuracy, axis=1)
        return self._cache[setting.key]

    def interval(self, setting):
        """95 % interval of the relative accuracy."""
        if not self.baseline.exact > 0:
            return np.array([np.nan, np.nan])
        return np.nanpercentile(self._draws(setting) / self._draws(self.baseline), (2.5, 97.5))

    def difference(self, left, right):
        """Relative accuracy of `left` less that of `right`, a setting or a weighted mix of some [(setting, weight)], in
        points, and its 95 % interval."""
        mix = right if isinstance(right, list) else [(right, 1)]
        if not self.baseline.exact > 0:
            return (float("nan"),) * 3
        draws = self._draws(left) - sum(weight * self._draws(setting) for setting, weight in mix)
        low, high = np.nanpercentile(draws / self._draws(self.baseline), (2.5, 97.5))
        return 100 * (self.relative(left) - self.mixed(mix)), 100 * low, 100 * high

    def mixed(self, mix):
        return sum(weight * self.relative(setting) for setting, weight in mix)

    def at(self, method, axis, value):
        """The method where its mean of `axis` (kept, per_layer) is `value`: the two runs round it, weighted linearly in the
        logarithm; None beyond its runs."""
        runs = sorted(self.of(method), key=lambda setting: getattr(setting, axis))
        points = [getattr(setting, axis) for setting in runs]
        for left, right, low, high in zip(runs, runs[1:], points, points[1:]):
            if low <= value <= high and low < high:
                weight = np.log(value / low) / np.log(high / low)
                return [(left, 1 - weight), (right, weight)]
        nearest = min(runs, key=lambda setting: abs(getattr(setting, axis) - value), default=None)
        # Counts are whole numbers: half a token off is the same.
        return [(nearest, 1)] if nearest and abs(getattr(nearest, axis) - value) <= 0.5 else None


def jaccard(left, right):
    left, right = set(left), set(right)
    return len(left & right) / len(left | right) if left | right else 1.0


def rank_correlation(x, y):
    """Spearman's, ties by mean ranks."""
    def ranks(values):
        values = np.asarray(values, float)
        order = values.argsort(kind="stable")
        ranks = np.empty(len(values))
        ranks[order] = np.arange(len(values))
        for value in np.unique(values):
            ranks[values == value] = ranks[values == value].mean()
        return ranks
    if len(set(x)) < 2 or len(set(y)) < 2:
        return float("nan")
    return float(np.corrcoef(ranks(x), ranks(y))[0, 1])
