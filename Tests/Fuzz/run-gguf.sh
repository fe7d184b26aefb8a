#!/bin/sh
# Fuzzes the GGUF reader with libFuzzer and AddressSanitizer.   Usage: Tests/Fuzz/run-gguf.sh [SECONDS]
# A finding is left as crash-* in the build folder; replay it with:  BUILD/fuzz-gguf crash-FILE
set -eu
seconds=${1:-60}
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${FUZZ_BUILD:-$root/.build/fuzz/gguf}
mkdir -p "$build/corpus" "$build/seeds"
cd "$build"

flags="-O -g -swift-version 6 -package-name occam -sanitize=fuzzer,address -parse-as-library -I $build"
room() { # NAME FOLDER [FLAGS]: one target, compiled whole into one object
  name=$1 folder=$2
  shift 2
  find "$root/$folder" -name '*.swift' >"$name.files"
  swiftc $flags "$@" -wmo -module-name "$name" -emit-module -emit-module-path "$build/$name.swiftmodule" \
    -c -o "$name.o" @"$name.files"
}
room OccamCore Sources/Core -enable-experimental-feature Extern
room OccamGGUF Sources/GGUF
room OccamTokenizer Sources/Tokenizer
swiftc $flags -o fuzz-gguf "$root"/Tests/Fuzz/GGUF/*.swift OccamCore.o OccamGGUF.o OccamTokenizer.o

cp "$root/Tests/Goldens/gguf/sample.gguf" seeds/
cp "$root"/Tests/Fuzz/GGUF/seeds/* seeds/ 2>/dev/null || true
exec ./fuzz-gguf -max_total_time="$seconds" -max_len=8192 -rss_limit_mb=2048 -timeout=10 -print_final_stats=1 \
  -dict="$root/Tests/Fuzz/GGUF/gguf.dict" corpus seeds
