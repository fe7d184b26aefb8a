#!/bin/bash
# Fuzzes one parser: Tests/Fuzz/run.sh TARGET [SECONDS] [further libFuzzer options]
#
# A target is a file Tests/Fuzz/*/TARGET.swift that defines LLVMFuzzerTestOneInput. Comments in it say what it needs:
#   // fuzz-module: NAME FOLDER     a module compiled from FOLDER, in the order of their imports
#   // fuzz-corpus: PATTERN         files to start from, relative to the package
#   // fuzz-words: FILE              libFuzzer dictionary
# Everything is compiled with libFuzzer and the address sanitizer, optimised but with all of Swift's checks. Findings and the
# grown corpus stay in .build/fuzz/TARGET.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${1:?usage: Tests/Fuzz/run.sh TARGET [SECONDS] [libFuzzer options]}
seconds=${2:-60}
shift $(($# < 2 ? $# : 2))
harness=$(find Tests/Fuzz -mindepth 2 -name "$target.swift")
[ -f "$harness" ] || { echo "no fuzz target '$target'; there are: $(find Tests/Fuzz -mindepth 2 -name '*.swift' -printf '%f\n' | sed 's/\.swift$//' | sort | xargs)" >&2; exit 64; }

build=.build/fuzz/$target
mkdir -p "$build/corpus" "$build/seeds" "$build/findings"
flags=(-O -g -swift-version 6 -package-name occam -parse-as-library -sanitize=fuzzer,address -enable-experimental-feature Extern -I "$build")
objects=()
while read -r name folder; do
  swiftc "${flags[@]}" -wmo -module-name "$name" -emit-module -emit-module-path "$build/$name.swiftmodule" \
    -emit-object -o "$build/$name.o" $(find "$folder" -name '*.swift' | sort)
  objects+=("$build/$name.o")
done < <(sed -n 's|^// fuzz-module: ||p' "$harness")
swiftc "${flags[@]}" -wmo -module-name FuzzTarget "$harness" "${objects[@]}" -o "$build/fuzzer"

for pattern in $(sed -n 's|^// fuzz-corpus: ||p' "$harness"); do
  cp -- $pattern "$build/seeds/"
done
words=$(sed -n 's|^// fuzz-words: ||p' "$harness")
# Leaks are not looked for: Swift's lazily made globals live for ever.
ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=0 exec "$build/fuzzer" -max_total_time="$seconds" -max_len=8192 -timeout=10 \
  -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$build/findings/" ${words:+-dict="$words"} "$@" "$build/corpus" "$build/seeds"
