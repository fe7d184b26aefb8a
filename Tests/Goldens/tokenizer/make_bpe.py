"""Makes bpe-bytes.gguf, bpe-chars.gguf, bpe-gemma3.gguf (tiny vocabularies) and bpe.json: ids by llama.cpp for every
pre-tokeniser, and for a SentencePiece vocabulary with Gemma 3's kinds of tokens.

Run: python make_bpe.py     needs llama-cpp-python 0.3.36, gguf 0.19.0; no input
The merges are trained on the texts themselves without cutting them first, so that merges would cross every border a
pre-tokeniser draws: a border in the wrong place changes ids. Text goes into the JSON as UTF-8 in hexadecimal.
"""
import collections
import ctypes
import json
import os
import pathlib
import random
import tempfile

import gguf
import llama_cpp

SEED = 20260202
MERGES = 700
HERE = pathlib.Path(__file__).resolve().parent

# One line per set of rules: the first name is the one whose ids are stored, the others must give the same.
GROUPS = [
    ["default", ""], ["falcon"],
    ["gpt-2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v2-es", "jina-v2-de", "a.x-4.0", "mellum", "modern-bert",
     "jina-v1-en", "jina-v2-code", "roberta-bpe", "exaone4", "mpt", "olmo", "jais", "trillion", "granite-docling"],
    ["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"],
    ["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"],
    ["dbrx", "smaug-bpe", "chatglm-bpe"], ["glm4", "glm5"],
    ["qwen2", "deepseek-r1-qwen", "kormo", "f2llmv2", "megrez", "stablelm2", "hunyuan", "solar-open", "grok-2"],
    ["qwen35"], ["ufakzeka"], ["bailingmoe", "bailingmoe2", "llada-moe"], ["minicpm5"], ["seed-coder"], ["tekken"],
    ["gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"],
    ["deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"],
]
GEMMA3_GROUPS = [["default"]]
CHAR_GROUPS = [["gemma4", "granite-embed-multi-311m"], ["sarvam-moe"]]

TEXTS = [
    "", " ", "  ", "   x", "\n", "\n\n", "\r\n", "\r\n\r\nx", "a\r\nb", " \n ", "\t\t\n\t x", "a  b   c    d", "x \n\n  y",
    "I'm we'll they've he'd it's can't you're", "I'M WE'LL THEY'VE HE'D IT'S CAN'T YOU'RE", "'s 'S 'lL 've'VE ''s 'x '",
    "1", "12", "123", "1234", "12345678901234567890", "3.14, 2,718", "a1b22c333d4444", "\u0661\u0662\u0663\u0664 \u00bd\u00be \u2167",
    "Hello, World! (foo) [bar] {baz}", "a+b=c; d<e>f ^~|`$", "``` code ```", "x/y//z///\n/", "https://example.org/a?b=c&d=%20",
    "HTMLParser getURL XMLHttpRequest iPhone McDonald ABCdefGHI", "ALLCAPS lower Title cAMEL", "\u00c9COLE \u00c9cole \u00e9COLE \u01c5ok",
    "\u0441\u043b\u043e\u0432\u043e \u0421\u041b\u041e\u0412\u041e \u0421\u043b\u043e\u0432\u043e", "\u4e2d\u6587\u5b57 \u65e5\u672c\u8a9e\u30ab\u30bf\u30ab\u30ca\u3072\u3089\u304c\u306a", "\ud55c\uad6d\uc5b4 \ud14d\uc2a4\ud2b8",
    "\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22 \u0e17\u0e35\u0e48", "\u0939\u093f\u0928\u094d\u0926\u0940 \u092e\u0947\u0902 \u0915\u094d\u0937", "\u0627\u0644\u0639\u0631\u0628\u064a\u0629\u064f \u0645\u064e", "e\u0301te\u0301 a\u0308 \u0301x \u0301\u0302",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f999\U0001f3fd \U0001f1e9\U0001f1ea", "\u2764\ufe0f!?", "\u00a0x\u3000y\u2003\u2003z \u0085 q", "\u200bzero\u200b", "\ufeffbom",
    "\x00", "a\x00b \x00\x00", "\x01\x1c\x1f\x7f", "\ufffd\ufffd x\ufffd", "\ue000\U000f0000\U0010ffff \u0378", "\u2028\u2029 line",
    "</s> <s> <|im_end|> <unk> <image>", "<start_of_turn>user\n\n\nhi<end_of_turn>\n<table> <eos><bos> <start_of_image>", "<|im_start|>user\nhi<|im_end|>\n", "[INST] x [/INST]", "\u2581\u2581 \u2581a", "_under_score__",
    "end with space ", "end with spaces   ", "end\n\n\n", " lead", "\n lead", "a\n  b\n\n    c\t\td", "...!!!???", "\u00bfqu\u00e9? \u00a1s\u00ed!", "\u300c\u5f15\u7528\u300d\u3001\u3002",
    "$100 \u20ac5 \u00a37", "x = {'k': [1, 2.5e-3]}", "if (a && b) { return c; }\n\tfoo();\n", "a\u0378b\U000e0001c", "2\u00b2 \u2460\u2461 \u0e51\u0e52",
]
PIECES = ["a", "B", "es", "'s", "'RE", " ", "  ", "\n", "\r", "\t", "1", "23", ".", "!?", "/", "\u00e9", "\u0301", "\u4e2d", "\u0e17\u0e35\u0e48", "\U0001f999", "\u00a0", "\x00", "$", "`", "Ab", "THE", " the", "\u0661", "\u30ab"]


def texts():
    rng = random.Random(SEED)
    return TEXTS + ["".join(rng.choice(PIECES) for _ in range(rng.randint(4, 18))) for _ in range(50)]


def byte_alphabet():
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table, extra = {}, 0x100
    for byte in range(256):
        if byte in plain:
            table[byte] = chr(byte)
        else:
            table[byte] = chr(extra)
            extra += 1
    return table


def train(words):
    """Merges of the most frequent pairs (ties: the first in order of code points)."""
    merges = []
    while len(merges) < MERGES:
        pairs = collections.Counter()
        for word in words:
            pairs.update(zip(word, word[1:]))
        if not pairs:
            break
        pair = min(pairs, key=lambda p: (-pairs[p], p))
        merges.append(pair)
        for index, word in enumerate(words):
            out, i = [], 0
            while i < len(word):
                if tuple(word[i:i + 2]) == pair:
                    out.append(word[i] + word[i + 1])
                    i += 2
                else:
                    out.append(word[i])
                    i += 1
            words[index] = out
    return merges


SPECIAL = ["<|im_start|>", "<|im_end|>", "<image>"]


# Gemma's user-defined tokens: runs of newlines and spaces, markup. <end_of_turn> is one too, and becomes control.
GEMMA3 = [("\n" * n, 4) for n in range(2, 6)] + [(" " * n, 4) for n in range(2, 5)] + [
    ("<table>", 4), ("[INST]", 4), ("<end_of_turn>", 4), ("<start_of_turn>", 3), ("<start_of_image>", 3), ("<image>", 3)]


def write(path, model, tokens, types, merges, settings):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model(model)
    writer.add_tokenizer_pre(settings.pop("pre"))
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    if model == "llama":
        # The earlier a piece, the sooner it merges.
        writer.add_token_scores([-float(i) for i in range(len(tokens))])
    else:
        writer.add_token_merges([f"{a} {b}" for a, b in merges])
    for key, value in settings.items():
        writer.add_bool(key, value) if isinstance(value, bool) else writer.add_uint32(key, value)
    # llama.cpp demands these before it looks at the vocabulary.
    for key, value in [("block_count", 1), ("context_length", 64), ("embedding_length", 8), ("feed_forward_length", 8), ("attention.head_count", 1)]:
        writer.add_uint32(f"llama.{key}", value)
    writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def vocabulary(kind):
    if kind == "bytes":
        alphabet = byte_alphabet()
        words = [[alphabet[b] for b in text.encode()] for text in texts()]
        base = [alphabet[b] for b in range(256)]
        types = [1] * 256
    else:
        # Newlines never merge with others, and runs of them are tokens without merges, as in Gemma's vocabulary.
        # No NUL: llama.cpp reads tokens as C strings.
        words = [list(part) for text in texts() for part in text.replace(" ", "\u2581").split("\n")]
        kept = sorted({c for word in words for c in word if 0 < ord(c) < 0x3000})
        words = [[c for c in word if c in kept] for word in words]
        base = [f"<0x{b:02X}>" for b in range(256)] + kept + ["\n", "\n\n", "\n\n\n"]
        types = [6] * 256 + [1] * (len(kept) + 3)
    merges = train(words)
    if kind == "gemma3":
        pieces = [a + b for a, b in merges if a + b not in dict(GEMMA3)]
        tokens = ["<pad>", "<eos>", "<bos>", "<unk>"] + base[:256] + kept + ["\n"] + list(dict.fromkeys(pieces))
        types = [3, 3, 3, 2] + [6] * 256 + [1] * (len(tokens) - 260)
        return tokens + [t for t, _ in GEMMA3], types + [k for _, k in GEMMA3], []
    tokens = [t for t in dict.fromkeys(base + [a + b for a, b in merges]) if t not in SPECIAL]
    types += [1] * (len(tokens) - len(types))
    # Tokens that no merge reaches, for ignore_merges; one merge whose result is no token.
    whole = [w for w in ("Hello", "ALLCAPS", "\u0120lower", "HTMLParser", "return", "123") if w not in tokens]
    tokens += whole
    types += [1] * len(whole)
    if kind == "bytes":
        gone = merges[40][0] + merges[40][1]
        index = tokens.index(gone)
        tokens.pop(index), types.pop(index)
    return tokens + SPECIAL, types + [3, 3, 4], merges


def load(path):
    return llama_cpp.Llama(str(path), vocab_only=True, verbose=False)


def piece(model, token):
    buffer = ctypes.create_string_buffer(4096)
    vocab = llama_cpp.llama_model_get_vocab(model.model)
    size = llama_cpp.llama_token_to_piece(vocab, token, buffer, 4096, 0, True)
    return buffer.raw[:size].hex()


def ids(model, inputs, parse):
    return [model.tokenize(text.encode(), add_bos=False, special=parse) for text in inputs]


def main():
    inputs = texts()
    result = {"made_with": f"llama-cpp-python {llama_cpp.__version__}", "seed": SEED, "texts": [t.encode().hex() for t in inputs], "groups": []}
    for kind, groups in (("bytes", GROUPS), ("chars", CHAR_GROUPS), ("gemma3", GEMMA3_GROUPS)):
        tokens, types, merges = vocabulary(kind)
        settings = {"tokenizer.ggml.bos_token_id": len(tokens) - 3, "tokenizer.ggml.eos_token_id": len(tokens) - 2}
        if kind == "gemma3":
            settings = {"tokenizer.ggml.bos_token_id": 2, "tokenizer.ggml.eos_token_id": 1, "tokenizer.ggml.unknown_token_id": 3, "tokenizer.ggml.add_space_prefix": False}
        model_name = "llama" if kind == "gemma3" else "gpt2"
        write(HERE / f"bpe-{kind}.gguf", model_name, tokens, types, merges, {"pre": groups[0][0], **settings})
        for names in groups:
            stored = None
            for name in names:
                with tempfile.TemporaryDirectory() as folder:
                    path = os.path.join(folder, "vocab.gguf")
                    write(path, model_name, tokens, types, merges, {"pre": name, **settings})
                    model = load(path)
                    found = [ids(model, inputs, False), ids(model, inputs, True)]
                    pieces = [piece(model, i) for i in range(len(tokens))]
                    adds = bool(llama_cpp.llama_vocab_get_add_bos(llama_cpp.llama_model_get_vocab(model.model)))
                if stored is None:
                    stored = found
                    # Rows that parsing special tokens leaves alone are stored once.
                    both = [[plain] if plain == parsed else [plain, parsed] for plain, parsed in zip(*found)]
                    result["groups"].append({"vocabulary": kind, "names": names, "adds_bos": [adds], "ids": both})
                    if name == groups[0][0]:
                        result[f"{kind}_pieces"] = pieces
                else:
                    assert found == stored, name
                    result["groups"][-1]["adds_bos"].append(adds)
    (HERE / "bpe.json").write_text(json.dumps(result, separators=(",", ":")).replace('{"vocab', '\n{"vocab') + "\n")


main()
