#!/usr/bin/env bash
# Every kind of input of docs/data.md, of the small texts that are committed: the same documents make the same corpus,
# however they are packed; what is refused says what to do; a corpus made so is trained on.
# Usage: prepare_program_test.sh TROUPE SOURCE_DIR
set -euo pipefail
. "$2/tests/program_testing.sh"
export LC_ALL=C.UTF-8

prepare() {  # prepare OUTPUT ARGUMENTS...
  local output=$1
  shift
  "$troupe" data prepare "$@" --tokenizer "$work/tokenizer.json" --heldout 0.1 --output "$work/out/$output" \
    >"$work/log" 2>&1 || fail "$* $(cat "$work/log")"
}
content() { "$troupe" data inspect "$work/out/$1" --json | jq -c '[.train, .heldout]'; }
same() { [ "$(content "$1")" = "$(content plain)" ] || fail "$1: $(content "$1") instead of $(content plain)"; }

"$troupe" tokenizer train tests/data/text/*.txt --vocab 512 --output "$work/tokenizer.json" >"$work/log" 2>&1
python3 - tests/data/text "$work" <<'END'
import ctypes, gzip, json, lzma, pathlib, sys
source, work = map(pathlib.Path, sys.argv[1:])
documents = sorted({part for name in ("stories", "recipes")
                    for part in (source / f"{name}.txt").read_text("utf-8").split("\n\n") if part.strip()})
(work / "texts/all").mkdir(parents=True)
for number, text in enumerate(documents):
    (work / f"texts/all/{number:04}.{'md' if number % 2 else 'txt'}").write_text(text, "utf-8")
lines = "".join(json.dumps({"meta": {"body": text, "kind": "all"}}) + "\n" for text in documents).encode()
(work / "lines.jsonl").write_bytes(lines)
(work / "lines.jsonl.gz").write_bytes(gzip.compress(lines))
(work / "lines.jsonl.xz").write_bytes(lzma.compress(lines))
zstd = ctypes.CDLL("libzstd.so.1")  # the library that the program has, too
zstd.ZSTD_compress.restype = ctypes.c_size_t
room = ctypes.create_string_buffer(len(lines) + 1024)
size = zstd.ZSTD_compress(room, ctypes.c_size_t(len(room)), lines, ctypes.c_size_t(len(lines)), 3)
(work / "lines.jsonl.zst").write_bytes(room.raw[:size])
(work / "table.parquet").write_bytes(b"PAR1")
END

prepare plain "$work/texts"
[ "$(content plain | jq '.[0].documents + .[1].documents')" -gt 50 ] || fail "$(content plain)"
fields=(--text-field meta.body --domain-field meta.kind)
prepare lines "$work/lines.jsonl" "${fields[@]}" && same lines
for packed in lines.jsonl.gz lines.jsonl.xz lines.jsonl.zst; do
  prepare "of-$packed" "$work/$packed" "${fields[@]}" && same "of-$packed"
done
prepare pattern "$work/texts/**/*.[mt]*" && same pattern
"$troupe" data prepare - --tokenizer "$work/tokenizer.json" --heldout 0.1 --output "$work/out/piped" "${fields[@]}" \
  <"$work/lines.jsonl" >"$work/log" 2>&1 || fail "$(cat "$work/log")"
same piped

# Tokens of other programs: nanoGPT's and Megatron's, with the ids that the same tokenizer gives.
"$troupe" tokenizer encode "$work"/texts/all/* --tokenizer "$work/tokenizer.json" >"$work/ids"
python3 - "$work" <<'END'
import json, pathlib, struct, sys
work = pathlib.Path(sys.argv[1])
tokenizer = json.loads((work / "tokenizer.json").read_text("utf-8"))
end = next(token["id"] for token in tokenizer["added_tokens"] if token["content"] == "<|endoftext|>")
documents = [list(map(int, line.split())) + [end] for line in (work / "ids").read_text().splitlines()]
tokens = struct.pack(f"<{sum(map(len, documents))}H", *(token for document in documents for token in document))
(work / "nano.bin").write_bytes(tokens)
(work / "megatron").mkdir()
(work / "megatron/all.bin").write_bytes(tokens)
sizes = list(map(len, documents))
starts = [2 * sum(sizes[:i]) for i in range(len(sizes))]
index = b"MMIDIDX\0\0" + struct.pack("<QBQQ", 1, 8, len(sizes), len(sizes) + 1)
index += struct.pack(f"<{len(sizes)}i{len(sizes)}q{len(sizes) + 1}q", *sizes, *starts, *range(len(sizes) + 1))
(work / "megatron/all.idx").write_bytes(index)
END
prepare nano "$work/nano.bin" && same nano
prepare megatron "$work/megatron" && same megatron

status=0
"$troupe" data prepare "$work/table.parquet" --output "$work/no" 2>"$work/refused" || status=$?
[ "$status" -eq 2 ] && grep -q "python3 -c" "$work/refused" || fail "Parquet: exit $status, $(cat "$work/refused")"

"$troupe" train configs/tiny.yaml --run-dir "$work/run" --set parallel.backend=inproc --workers 1 --set run.steps=3 \
  --set data.corpus="$work/out/plain" >"$work/log" 2>&1 || fail "$(tail -n 20 "$work/log")"
"$troupe" eval "$work/run" --corpus "$work/out/lines" --json | jq -e '.total.tokens > 0' >/dev/null || fail "eval"
echo "ok"
