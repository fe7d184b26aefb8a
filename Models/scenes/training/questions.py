"""Questions about one scene, with their answers; sampled from the scene's seed."""

import random
import re

from scenes import COLORS, KINDS, SIZE

TYPES = ["existence", "attribute", "count", "position", "relation", "reading", "description"]
PLURALS = {"fish": "fish"}
MARGIN = 4  # pixels a centre keeps from the border of a third, where "where is it?" has two answers
GAP = 18  # pixels two centres differ by, where one is asked to be left of or above the other


def plural(kind):
    return PLURALS.get(kind, kind + "s")


def article(text):
    return ("an " if text[0] in "aeiou" else "a ") + text


def place(item):
    """One of nine answers; None near a border."""
    third = SIZE / 3
    for v in (item.x, item.y):
        if any(abs(v - third * k) < MARGIN for k in (1, 2)):
            return None
    column, row = ["left", "", "right"][int(item.x // third)], ["top", "", "bottom"][int(item.y // third)]
    return (row + " " + column).strip() or "center"


def name(item, items):
    """The shortest description that fits this item alone; None when there is none."""
    if item.is_sign:
        return "sign" if sum(o.is_sign for o in items) == 1 else None
    if sum(o.kind == item.kind for o in items) == 1:
        return item.kind
    if sum(o.kind == item.kind and o.color == item.color for o in items) == 1:
        return f"{item.color} {item.kind}"
    return None


def existence(rng, items):
    objects = [o for o in items if not o.is_sign]
    ask = rng.choice(["Is there {}?", "Do you see {}?", "Does the picture show {}?"])
    yes, sort = rng.random() < 0.5, rng.random()
    if sort < 0.12:
        if yes != any(o.is_sign for o in items):
            return None
        return ask.format("a sign"), "yes" if yes else "no"
    if sort < 0.45:
        pool = sorted({o.kind for o in objects}) if yes else [k for k in KINDS if all(o.kind != k for o in objects)]
        return (ask.format(article(rng.choice(pool))), "yes" if yes else "no") if pool else None
    pairs = {(o.color, o.kind) for o in objects}
    if yes:
        pool = sorted(pairs)
    else:  # mostly half-true: the colour is there on something else, or the kind in another colour
        every = [(c, k) for c in COLORS for k in KINDS if (c, k) not in pairs]
        near = [(c, k) for c, k in every if any(c == a or k == b for a, b in pairs)]
        pool = near if near and rng.random() < 0.75 else every
    if not pool:
        return None
    color, kind = rng.choice(pool)
    return ask.format(article(f"{color} {kind}")), "yes" if yes else "no"


def attribute(rng, items):
    objects = [o for o in items if not o.is_sign]
    if not objects:
        return None
    item, sort = rng.choice(objects), rng.random()
    if sort < 0.45:
        if sum(o.kind == item.kind for o in items) != 1:
            return None
        return rng.choice(["What color is the {}?", "What is the color of the {}?"]).format(item.kind), item.color
    if sort < 0.75:
        if sum(o.color == item.color for o in objects) != 1:
            return None
        return rng.choice(["What is the {} object?", "Which object is {}?"]).format(item.color), item.kind
    what = name(item, items)
    return (f"Is the {what} small or large?", "large" if item.large else "small") if what else None


def count(rng, items):
    objects = [o for o in items if not o.is_sign]
    ask, sort = rng.choice(["How many {} are there?", "How many {} do you see?"]), rng.random()
    if sort < 0.3:
        return ask.format("things"), str(len(items))
    present = rng.random() < 0.85 and objects
    if sort < 0.7:
        kind = rng.choice(objects).kind if present else rng.choice(KINDS)
        return ask.format(plural(kind)), str(sum(o.kind == kind for o in objects))
    color = rng.choice(objects).color if present else rng.choice(COLORS)
    return ask.format(f"{color} objects"), str(sum(o.color == color for o in objects))


def position(rng, items):
    item = rng.choice(items)
    what, where = name(item, items), place(item)
    if what is None or where is None:
        return None
    return rng.choice(["Where is the {}?", "In which part of the picture is the {}?"]).format(what), where


def relation(rng, items):
    if len(items) < 2:
        return None
    a, b = rng.sample(items, 2)
    one, other = name(a, items), name(b, items)
    if one is None or other is None:
        return None
    horizontal = rng.random() < 0.5
    delta = a.x - b.x if horizontal else a.y - b.y
    if abs(delta) < GAP:
        return None
    first = rng.random() < 0.5  # ask for "left of" or "above"
    words = ("to the left of", "to the right of") if horizontal else ("above", "below")
    return f"Is the {one} {words[0 if first else 1]} the {other}?", "yes" if (delta < 0) == first else "no"


def reading(rng, items):
    signs = [o for o in items if o.is_sign]
    if not signs:
        return None
    item = rng.choice(signs)
    if item.text.isdigit():
        return rng.choice(["What number is shown?", "Which number is on the sign?"]), item.text
    return rng.choice(["What does the sign say?", "Which word is written on the sign?"]), item.text


def describe(item):
    if item.is_sign:
        return f"a sign that says {item.text}"
    return article(f"{'large' if item.large else 'small'} {item.color} {item.kind}")


def description(rng, items):
    parts = [describe(o) for o in sorted(items, key=lambda o: o.x)]
    text = parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
    return rng.choice(["Describe the picture.", "What do you see?"]), text


MAKERS = {"existence": existence, "attribute": attribute, "count": count, "position": position, "relation": relation,
          "reading": reading, "description": description}
SHARES = ["existence"] * 3 + ["attribute"] * 3 + ["count"] * 3 + ["position"] * 3 + ["relation"] * 3 + ["reading"] * 2


def questions(seed, items, wanted=16):
    """[(type, question, answer)]: one description and up to `wanted` others, none twice."""
    if not items:
        return []
    rng = random.Random(seed * 31 + 7)
    out, seen = [("description",) + description(rng, items)], set()
    for _ in range(6 * wanted):
        if len(out) > wanted:
            break
        sort = rng.choice(SHARES)
        made = MAKERS[sort](rng, items)
        if made and made[0] not in seen:
            seen.add(made[0])
            out.append((sort,) + made)
    return out


_NAMES = re.compile(rf"\bobject is ({'|'.join(COLORS)})\b|\b(?:({'|'.join(COLORS)}) )?({'|'.join(KINDS)}|sign|object|thing)s?\b")


def mentions(question, items):
    """[(end, items)] for every phrase of a question that names things: the offset behind it, and what it fits."""
    found = []
    for m in _NAMES.finditer(question):
        color, kind = m[1] or m[2], m[3] or "object"
        fits = [o for o in items if (kind == "thing" or o.is_sign == (kind == "sign"))
                and (kind in ("thing", "object", "sign") or o.kind == kind) and (color is None or o.color == color)]
        found.append((m.end(), fits))
    return found
