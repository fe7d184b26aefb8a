"""Makes documents.json: schemas, and documents that jsonschema (Draft 2020-12) calls valid or not; and llama.json:
schemas with texts that llama.cpp's own tests accept and reject.

Run: python make.py [TEST-GRAMMAR-INTEGRATION.CPP of llama.cpp]     needs jsonschema 4.26.0; the file's version goes by
llama-cpp-python 0.3.36

Documents come from each schema by a seeded generator and from its documents by seeded changes; jsonschema has the last
word on all. It judges `closed(schema)`, what Sources/Service/README.md says of Occam: no members but those of the
schema unless it speaks of others, a schema without a type is of the type that its keywords are about, tuples are
whole unless minItems says else. Members stand in the schema's order, as the grammar has them; texts are compact.
"""
import copy
import json
import pathlib
import random
import re
import string
import sys

import jsonschema

SEED = 20261127
HERE = pathlib.Path(__file__).resolve().parent
PERSON = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
          "required": ["name"]}

SCHEMAS = {
    "null": {"type": "null"},
    "boolean": {"type": "boolean"},
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "any": {},
    "true": {"type": "array", "items": True},
    "types": {"type": ["integer", "null"]},
    "types with limits": {"type": ["string", "integer", "null"], "minLength": 2, "maxLength": 4, "minimum": 3},
    "enum": {"enum": ["red", 1, None, True, [1, 2], {"a": "b"}]},
    "enum with a type": {"type": "string", "enum": ["a", 1, "b", None]},
    "enum of integers": {"type": "integer", "enum": [1, 2, "3"]},
    "const": {"const": {"a": [1, "x"]}},
    "const with a type": {"type": "string", "const": "x"},
    "integer range": {"type": "integer", "minimum": -17, "maximum": 230},
    "integer exclusive": {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 100},
    "integer fraction": {"type": "integer", "minimum": 1.5, "maximum": 7.5},
    "integer from": {"type": "integer", "minimum": 10},
    "integer to": {"type": "integer", "maximum": -3},
    "number range": {"type": "number", "minimum": 0, "maximum": 1},
    "number range below": {"type": "number", "minimum": -5, "maximum": 12},
    "number from": {"type": "number", "minimum": 3},
    "number above": {"type": "number", "exclusiveMinimum": 0},
    "number fractions": {"type": "number", "minimum": 0.25, "maximum": 9.75},
    "string lengths": {"type": "string", "minLength": 2, "maxLength": 5},
    "string least": {"type": "string", "minLength": 3},
    "string most": {"type": "string", "maxLength": 2},
    "pattern": {"type": "string", "pattern": "^[a-z]{2,4}-\\d+$"},
    "pattern inside": {"type": "string", "pattern": "b+c"},
    "pattern start": {"type": "string", "pattern": "^ab"},
    "pattern choice": {"type": "string", "pattern": "^(red|green|blue)?$"},
    "pattern plate": {"type": "string", "pattern": "^[A-Z]{1,3} [A-Z]{1,2} [1-9][0-9]{0,3}$"},
    "date": {"type": "string", "format": "date"},
    "uuid": {"type": "string", "format": "uuid"},
    "date-time": {"type": "string", "format": "date-time"},
    "object": PERSON,
    "object closed": {**PERSON, "additionalProperties": False},
    "object all optional": {"properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}, "c": {"type": "null"}}},
    "object all required": {"properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}}, "required": ["b", "a"]},
    "object open": {"type": "object", "properties": {"ab": {"type": "integer"}}, "additionalProperties": True},
    "object of integers": {"type": "object", "additionalProperties": {"type": "integer"}},
    "object others": {"type": "object", "properties": {"a": {"type": "null"}, "ab": {"type": "boolean"}},
                      "required": ["ab"], "additionalProperties": {"type": "string"}},
    "object empty": {"type": "object", "properties": {}, "additionalProperties": False},
    "object any": {"type": "object"},
    "nested": {"type": "object", "properties": {"p": PERSON, "q": {"type": "object", "properties": {
        "r": {"type": "array", "items": PERSON}}}}, "required": ["p"]},
    "array": {"type": "array", "items": {"type": "integer"}},
    "array lengths": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3},
    "array least": {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2},
    "array none": {"type": "array", "maxItems": 0},
    "array any": {"type": "array", "maxItems": 2},
    "tuple": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]},
    "matrix": {"type": "array", "items": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}},
    "anyOf": {"anyOf": [{"type": "integer", "minimum": 5}, {"type": "string", "maxLength": 3}, {"type": "null"}]},
    "oneOf": {"oneOf": [{"type": "object", "properties": {"kind": {"const": "a"}, "x": {"type": "integer"}},
                         "required": ["kind", "x"]},
                        {"type": "object", "properties": {"kind": {"const": "b"}, "y": {"type": "string"}},
                         "required": ["kind", "y"]}]},
    "anyOf beside a type": {"type": "string", "anyOf": [{"minLength": 3, "maxLength": 3}, {"enum": ["x", 1]}]},
    "anyOf beside types": {"type": ["integer", "string"], "anyOf": [{"type": "number"}, {"type": "null"},
                                                                    {"type": "string", "maxLength": 2}]},
    "anyOf of required": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
                          "anyOf": [{"required": ["a"]}, {"required": ["b"]}]},
    "allOf": {"allOf": [PERSON, {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}]},
    "allOf beside": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"],
                     "allOf": [{"$ref": "#/$defs/p"}], "$defs": {"p": PERSON}},
    "allOf of one": {"allOf": [{"$ref": "#/$defs/c"}], "title": "Colour", "$defs": {"c": {"enum": ["r", "g"]}}},
    "allOf of strings": {"allOf": [{"type": "string", "minLength": 2}, {"maxLength": 4, "minLength": 1}]},
    "ref": {"$ref": "#/$defs/p", "$defs": {"p": PERSON}},
    "ref beside": {"type": "object", "properties": {"s": {"$ref": "#/$defs/s", "minLength": 3}}, "required": ["s"],
                   "$defs": {"s": {"type": "string", "maxLength": 5}}},
    "ref in definitions": {"type": "array", "items": {"$ref": "#/definitions/a~1b"},
                           "definitions": {"a/b": {"type": "integer", "maximum": 9}}},
    "ref to a property": {"properties": {"a": {"type": "integer", "minimum": 7}, "b": {"$ref": "#/properties/a"}}},
    "tree": {"$ref": "#/$defs/t", "$defs": {"t": {"type": "object", "properties": {
        "v": {"type": "integer"}, "kids": {"type": "array", "items": {"$ref": "#/$defs/t"}}}, "required": ["v"]}}},
    "list": {"type": "object", "properties": {"v": {"type": "integer"}, "next": {"anyOf": [
        {"$ref": "#"}, {"type": "null"}]}}, "required": ["v", "next"]},
    "nullable": {"type": "object", "properties": {"a": {"anyOf": [{"$ref": "#/$defs/p"}, {"type": "null"}],
                                                        "default": None}}, "$defs": {"p": PERSON}},
    "escaped names": {"type": "object", "properties": {"a\"b": {"type": "integer"}, "é\n": {"type": "null"}},
                      "required": ["a\"b"]},
    # What a grammar cannot hold a text to: refused, or each document judged as jsonschema does.
    "multipleOf": {"type": "integer", "multipleOf": 3},
    "not": {"type": "string", "not": {"const": "x"}},
    "uniqueItems": {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
    "patternProperties": {"type": "object", "patternProperties": {"^x": {"type": "integer"}}},
    "propertyNames": {"type": "object", "propertyNames": {"maxLength": 3}},
    "minProperties": {"type": "object", "minProperties": 1},
    "contains": {"type": "array", "contains": {"const": 1}},
    "dependentRequired": {"properties": {"a": {}, "b": {}}, "dependentRequired": {"a": ["b"]}},
    "if": {"if": {"type": "integer"}, "then": {"minimum": 3}},
    "enum beside": {"type": "string", "enum": ["a", "abc"], "minLength": 2},
    "allOf closed": {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}},
                               {"type": "object", "properties": {"b": {"type": "integer"}},
                                "additionalProperties": False}]},
    "anyOf closed": {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False,
                     "anyOf": [{"properties": {"b": {"type": "integer"}}}, {"required": ["a"]}]},
    "anyOf and oneOf": {"anyOf": [{"type": "integer"}, {"type": "string"}], "oneOf": [{"type": "null"}, {"type": "string"}]},
    "pattern and length": {"type": "string", "pattern": "^a+$", "maxLength": 3},
    "tuple with items": {"prefixItems": [{"type": "integer"}], "items": {"type": "string"}},
    "tuple of a least length": {"prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 4, "maxItems": 5},
    "tuple closed": {"prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False, "minItems": 0},
    "tuple and more": {"prefixItems": [{"type": "integer"}, {"type": "string"}], "items": {"type": "boolean"}, "maxItems": 4},
    "tuple of a length": {"prefixItems": [{"type": "integer"}, {"type": "integer"}], "minItems": 1, "maxItems": 2},
}

STRICT = {"date-time": r'"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+01:00)"',
          "uuid": r'"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"'}
KINDS = {"object": {"properties", "required", "additionalProperties"}, "array": {"items", "prefixItems", "minItems", "maxItems"},
         "string": {"minLength", "maxLength", "pattern", "format"},
         "number": {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}}


def closed(schema, beside=False):
    """A schema as Occam reads it. beside: of an alternative, whose owner closes it."""
    if not isinstance(schema, dict):
        return schema
    schema = dict(schema)
    combined = bool({"anyOf", "oneOf", "allOf"} & set(schema)) or beside
    for name in ("properties", "$defs", "definitions"):
        if name in schema:
            schema[name] = {key: closed(value, beside) if name != "properties" else closed(value)
                            for key, value in schema[name].items()}
    for name in ("anyOf", "oneOf", "allOf", "prefixItems"):
        if name in schema:
            schema[name] = [closed(part, beside or name == "allOf" or len(schema) > 1) for part in schema[name]]
    for name in ("items", "additionalProperties"):
        if name in schema:
            schema[name] = closed(schema[name])
    if not combined and "$ref" not in schema and "type" not in schema:
        for kind, names in KINDS.items():
            if names & set(schema):
                schema["type"] = kind
                break
    if "properties" in schema and "additionalProperties" not in schema:
        if combined:
            schema.pop("additionalProperties", None)
        else:
            schema["additionalProperties"] = False
    if "prefixItems" in schema:
        schema.setdefault("items", schema.get("minItems", 0) > len(schema["prefixItems"]))
        schema.setdefault("minItems", len(schema["prefixItems"]))
    return schema


def judged(schema):
    """allOf and anyOf with members beside them are closed as a whole, by unevaluatedProperties."""
    has_allof = "allOf" in schema or ("anyOf" in schema and "properties" in schema)
    result = closed(schema, beside=has_allof)
    if has_allof and "additionalProperties" not in json.dumps(schema):
        result["unevaluatedProperties"] = False
    return result


class Generator:
    def __init__(self, root, rng):
        self.root, self.rng = root, rng

    def resolve(self, pointer):
        place = self.root
        for part in pointer.lstrip("#").split("/")[1:]:
            place = place[part.replace("~1", "/").replace("~0", "~")]
        return place

    def any(self, depth):
        kinds = [None, True, 0, 7, -3, 2.5, "", "x", "é😀", [], {}]
        if depth < 3:
            kinds += [[self.any(depth + 1)], {"k": self.any(depth + 1)}]
        return self.rng.choice(kinds)

    def text(self, low, high):
        return "".join(self.rng.choice('abz019 é😀"\\\n') for _ in range(self.rng.randint(low, high)))

    def matching(self, pattern):
        pools = {"^[a-z]{2,4}-\\d+$": ["ab-1", "wxyz-09", "a-1", "abc-", "abcde-1"], "b+c": ["bc", "xbbcx", "c", "b", "bbbb"],
                 "^ab": ["ab", "abc", "xab"], "^(red|green|blue)?$": ["", "red", "blue", "redred", "Red"],
                 "^[A-Z]{1,3} [A-Z]{1,2} [1-9][0-9]{0,3}$": ["B AB 1", "MTK Z 9999", "B AB 01", "B  1", "b A 1"], "^a+$": ["a", "aaaa"]}
        return self.rng.choice(pools[pattern])

    def value(self, schema, depth=0):
        rng = self.rng
        if not isinstance(schema, dict) or not schema:
            return self.any(depth)
        if "$ref" in schema:
            return self.value({**self.resolve(schema["$ref"]), **{k: v for k, v in schema.items() if k not in ("$ref", "$defs", "definitions")}}, depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return rng.choice(schema["enum"])
        for name in ("anyOf", "oneOf"):
            if name in schema:
                parts = schema[name][-1:] if depth > 5 else schema[name]
                rest = {k: v for k, v in schema.items() if k != name}
                return self.value({**rest, **rng.choice(parts)}, depth)
        if "allOf" in schema:
            merged = {k: v for k, v in schema.items() if k != "allOf"}
            for part in schema["allOf"]:
                part = self.resolve(part["$ref"]) if "$ref" in part else part
                for key, value in part.items():
                    if isinstance(value, dict):
                        merged[key] = {**merged.get(key, {}), **value}
                    elif isinstance(value, list):
                        merged[key] = merged.get(key, []) + value
                    else:
                        merged[key] = value
            return self.value(merged, depth)
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = rng.choice(kind)
        if kind is None:
            kind = next((kind for kind, names in KINDS.items() if names & set(schema)), None)
        if kind == "object":
            result = {}
            for name, part in schema.get("properties", {}).items():
                if name in schema.get("required", []) or (rng.random() < 0.6 and depth < 6):
                    result[name] = self.value(part, depth + 1)
            extra = schema.get("additionalProperties", "properties" not in schema)
            if extra is not False:
                for name in rng.sample(["", "a", "abc", "x", "zé"], rng.randint(0, 2)):
                    if name not in schema.get("properties", {}):
                        result[name] = self.value(extra, depth + 1)
            return result
        if kind == "array":
            if "prefixItems" in schema:
                parts = [self.value(part, depth + 1) for part in schema["prefixItems"]]
                return parts + [self.value(schema.get("items") or {}, depth + 1) for _ in range(rng.randint(0, 3))]
            low = schema.get("minItems", 0)
            high = schema.get("maxItems", low + 3) if depth < 4 else low
            return [self.value(schema.get("items", {}), depth + 1) for _ in range(rng.randint(low, high))]
        if kind == "string":
            if "pattern" in schema:
                return self.matching(schema["pattern"])
            pool = {"date": ["2026-11-27", "1999-01-31"], "uuid": ["123e4567-e89b-12d3-a456-426614174000"],
                    "date-time": ["2026-11-27T10:30:00Z", "2026-11-27T23:59:59.25+01:00"]}.get(schema.get("format"))
            low = schema.get("minLength", 0)
            return rng.choice(pool) if pool else self.text(low, schema.get("maxLength", low + 6))
        if kind in ("integer", "number"):
            low = schema.get("minimum", schema.get("exclusiveMinimum", -50 if "maximum" not in schema else schema["maximum"] - 50))
            high = schema.get("maximum", schema.get("exclusiveMaximum", low + 500))
            value = rng.uniform(low, high)
            return round(value) if kind == "integer" or rng.random() < 0.3 else round(value, 2)
        return {"boolean": rng.random() < 0.5, "null": None}.get(kind, self.any(depth))

    def changed(self, value):
        """The value with one place changed; the members keep their order."""
        rng = self.rng
        value = copy.deepcopy(value)
        if isinstance(value, dict) and value and rng.random() < 0.8:
            name = rng.choice(list(value))
            if rng.random() < 0.3:
                del value[name]
            else:
                value[name] = self.changed(value[name])
            return value
        if isinstance(value, dict) and rng.random() < 0.6:
            return {**value, "new": self.any(2)}
        if isinstance(value, list) and value and rng.random() < 0.7:
            index = rng.randrange(len(value))
            if rng.random() < 0.3:
                del value[index]
            elif rng.random() < 0.5:
                value.append(copy.deepcopy(value[index]))
            else:
                value[index] = self.changed(value[index])
            return value
        if isinstance(value, str) and rng.random() < 0.7:
            cut = rng.randint(0, len(value))
            return rng.choice([value[:cut] + value[cut + 1:], value[:cut] + rng.choice("aB0-") + value[cut:], value + value])
        if isinstance(value, (int, float)) and not isinstance(value, bool) and rng.random() < 0.8:
            return rng.choice([value + 1, value - 1, -value, value * 10, value + 0.5, value + 1000, value - 1000])
        return self.any(1)


def text(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def plain(value):
    """A grammar's integers have no fraction, its numbers no exponent behind digits that binary64 does not hold."""
    if isinstance(value, float):
        return int(value) if value == int(value) else round(value, 6)
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def documents(name, schema):
    rng = random.Random(f"{SEED} {name}")
    generator = Generator(schema, rng)
    judge = judged(schema)
    jsonschema.Draft202012Validator.check_schema(judge)
    checker = jsonschema.FormatChecker(["date", "uuid"])
    validator = jsonschema.Draft202012Validator(judge, format_checker=checker)
    valid, invalid = [], []
    for _ in range(400):
        value = generator.value(schema)
        for _ in range(rng.choice([0, 1, 1, 2])):
            value = generator.changed(value)
        value = plain(value)
        found = text(value)
        known = valid if validator.is_valid(value) else invalid
        # Without further packages jsonschema says nothing of date-time, and Python's UUID takes dashes anywhere.
        if known is valid and not re.fullmatch(STRICT.get(schema.get("format"), ".*"), found, re.S):
            known = invalid
        if found not in known and len(found) < 160 and len(known) < 14:
            known.append(found)
    return {"name": name, "schema": text(schema), "valid": valid, "invalid": invalid}


def llama(path):
    """Schemas and texts of test_schema(...) calls."""
    source = pathlib.Path(path).read_text()
    source = re.sub(r"^\s*//.*$", "", source[source.index("static void test_json_schema"):], flags=re.M)
    literal = re.compile(r'R"""\((.*?)\)"""|"((?:[^"\\]|\\.)*)"', re.S)
    result = []
    for call in source.split("test_schema(")[1:]:
        raw = [(m.start(), m.group(1) if m.group(1) is not None else json.loads(f'"{m.group(2)}"')) for m in literal.finditer(call)]
        groups = re.split(r"\n        \{\n", literal.sub(lambda m: "\x01" * len(m.group(0)), call))
        ends = [sum(len(g) + 11 for g in groups[:i + 1]) for i in range(len(groups))]
        strings = [[s for at, s in raw if (ends[i - 1] if i else 0) <= at < ends[i]] for i in range(len(groups))]
        result.append({"name": strings[0][0], "schema": strings[0][1].strip(), "valid": strings[1], "invalid": strings[2]})
    return result


def write(file, origin, cases):
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    (HERE / file).write_text(f'{{"origin": {json.dumps(origin)}, "cases": [\n{lines}\n]}}\n')
    print(file, len(cases), sum(len(c["valid"]) for c in cases), sum(len(c["invalid"]) for c in cases))


if __name__ == "__main__":
    write("documents.json", f"make.py, jsonschema {jsonschema.__version__}, seed {SEED}", [documents(*item) for item in SCHEMAS.items()])
    if len(sys.argv) > 1:
        write("llama.json", "make.py, tests/test-grammar-integration.cpp of llama.cpp as in llama-cpp-python 0.3.36", llama(sys.argv[1]))
