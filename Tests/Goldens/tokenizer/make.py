"""Makes llama-spm.json: token ids by llama.cpp (through llama-cpp-python) for seeded random texts, for the
vocabulary ggml-vocab-llama-spm.gguf as published and with special tokens and settings changed.

Run: python make.py FOLDER_OF_VOCABULARIES      needs llama-cpp-python 0.3.36, gguf 0.19.0
Text goes into the JSON as UTF-8 bytes in hexadecimal, so that no reader has to agree about escapes.
"""
import json
import os
import random
import sys
import tempfile

import gguf
import llama_cpp

SEED = 20260101
PIECES = [
    "hello", " world", "the ", "  ", "   ", "\n", "\n\n", "\r\n", "\t", "é", "e\u0301", "ß", "中文", "日本語", "한국어", "🦙",
    "👩‍👩‍👧", "\x01", "\x7f", "▁", " ▁", "<s>", "</s>", "<unk>", "<0x0A>", "<", "<|", "<|im_start|>", "<|im_end|>",
    "<image>", "<|user|>", "<|end|>", "<|endoftext|>", "1234567890", "3.14", "don't", "AbC", "\ufeff", "\U0010ffff", "\u200b", "ا", "ё", "ក",
    "```\n", '{"k": [1]}', "...", " ", "\u00a0", "\u3000", "ABBA", "ABB", "BBA",
]


def texts(count):
    rng = random.Random(SEED)
    result = ["", " ", "  ", "\n", "<s>", "</s> x", "a<s>b", "<s> <s>", "▁", "▁▁ ▁", "<|end|>  \n x", "<image>\n<image>"]
    while len(result) < count:
        text = ""
        for _ in range(rng.randint(1, 14)):
            kind = rng.random()
            if kind < 0.7:
                text += rng.choice(PIECES)
            elif kind < 0.85:
                text += "".join(rng.choice("abcdefghijklmnopqrstuvwxyz  .,") for _ in range(rng.randint(1, 12)))
            else:
                point = rng.randrange(1, 0x30000)
                text += chr(point) if not 0xD800 <= point < 0xE000 else "?"
        result.append(text)
    return result


def changed(source, target, name, added, settings):
    """A copy of the vocabulary with tokens appended and settings changed."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, "llama")
    fields = {k: f for k, f in reader.fields.items() if not k.startswith("GGUF.") and k != "general.architecture"}
    for key, field in fields.items():
        if key in settings:
            continue
        value = field.contents()
        if key == "general.name":
            value = name
        if key == "tokenizer.ggml.tokens":
            tokens = [bytes(field.parts[i]) for i in field.data] + [t.encode() for t, _ in added]
            writer.add_array(key, tokens)
            continue
        if key == "tokenizer.ggml.scores":
            value = value + [0.0] * len(added)
        if key == "tokenizer.ggml.token_type":
            value = value + [kind for _, kind in added]
        if key == "llama.vocab_size":
            value = value + len(added)
        sub = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(key, value, field.types[0], sub_type=sub)
    for key, (value, kind) in settings.items():
        writer.add_key_value(key, value, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def run(path, inputs, flags):
    model = llama_cpp.Llama(path, vocab_only=True, verbose=False)
    vocab = llama_cpp.llama_model_get_vocab(model.model)
    rows = []
    for text in inputs:
        data = text.encode()
        encoded = [model.tokenize(data, add_bos=special, special=parse) for special, parse in flags]
        rows.append([data.hex()] + encoded)
    count = llama_cpp.llama_vocab_n_tokens(vocab)
    ends = [i for i in range(count) if llama_cpp.llama_vocab_is_eog(vocab, i)]
    interesting = list(range(0, 300)) + list(range(300, count, 997)) + list(range(32000, count))
    buffer = llama_cpp.llama_cpp.ctypes.create_string_buffer(256)
    pieces = []
    for i in interesting:
        shown = []
        for special in (False, True):
            size = llama_cpp.llama_token_to_piece(vocab, i, buffer, 256, 0, special)
            shown.append(buffer.raw[:size].hex())
        pieces.append([i] + shown)
    return {"rows": rows, "end_of_generation": ends, "pieces": pieces}


def main():
    folder = sys.argv[1]
    source = os.path.join(folder, "ggml-vocab-llama-spm.gguf")
    boolean = gguf.GGUFValueType.BOOL
    added = [("<|im_start|>", 3), ("<|im_end|>", 3), ("<image>", 4), ("<|user|>", 4), ("ABBA", 4), ("ABB", 4), ("BBA", 3)]
    variants = [
        ("published", None, None, 500),
        ("chat", added, {"tokenizer.ggml.add_space_prefix": (False, boolean)}, 250),
        ("chat-prefix", added + [("<|end|>", 4)], {"tokenizer.ggml.add_eos_token": (True, boolean)}, 250),
        # llama.cpp does not load a model of this name without <|endoftext|>.
        ("phi-3", added + [("<|end|>", 3), ("<|endoftext|>", 3)], {"tokenizer.ggml.add_bos_token": (False, boolean)}, 250),
    ]
    flags = [(False, False), (True, True), (False, True)]
    result = {
        "made_with": f"llama-cpp-python {llama_cpp.__version__}", "seed": SEED,
        "flags": [{"add_special": a, "parse_special": p} for a, p in flags], "variants": [],
    }
    for name, tokens, settings, count in variants:
        with tempfile.TemporaryDirectory() as temporary:
            path = source
            if tokens is not None:
                path = os.path.join(temporary, "vocab.gguf")
                changed(source, path, name, tokens, settings)
            entry = run(path, texts(count), flags)
        entry["name"] = name
        entry["added"] = [[t, k] for t, k in tokens or []]
        entry["settings"] = {k: v for k, (v, _) in (settings or {}).items()}
        result["variants"].append(entry)
    target = os.path.join(os.path.dirname(os.path.abspath(__file__)), "llama-spm.json")
    with open(target, "w") as file:
        json.dump(result, file, separators=(",", ":"))
        file.write("\n")


main()
