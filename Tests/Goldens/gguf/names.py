"""Lists the names of architectures and projectors that llama.cpp knows, from its sources.

Run: python names.py PATH-OF-LLAMA.CPP     (made with the tree inside llama-cpp-python 0.3.36)
Writes architectures.txt (src/llama-arch.cpp, LLM_ARCH_NAMES; without clip, which names projector files, and the name of
the unknown) and projectors.txt (tools/mtmd/clip-impl.h, PROJECTOR_TYPE_NAMES).
"""
import os
import re
import sys

here = os.path.dirname(os.path.abspath(__file__))


def names(path, table, prefix):
    with open(os.path.join(sys.argv[1], path)) as file:
        text = file.read().split(table + " = {")[1].split("};")[0]
    return re.findall(r"\{ *" + prefix + r'\w+, *"([^"]+)"', text)


def write(name, found):
    with open(os.path.join(here, name), "w") as file:
        file.writelines(n + "\n" for n in found if n not in ("clip", "(unknown)"))


write("architectures.txt", names("src/llama-arch.cpp", "LLM_ARCH_NAMES", "LLM_ARCH_"))
write("projectors.txt", names("tools/mtmd/clip-impl.h", "PROJECTOR_TYPE_NAMES", "PROJECTOR_TYPE_"))
