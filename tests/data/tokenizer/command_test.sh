#!/bin/sh
# `troupe tokenizer` from the outside. Arguments: the program, the source folder.
set -eu
troupe=$1
text=$2/tests/data/text
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

fail() {
  echo "failed: $1" >&2
  exit 1
}
# expect CODE PATTERN COMMAND...: the exit code, and what standard error must say.
expect() {
  code=$1 pattern=$2
  shift 2
  actual=0
  "$@" > out 2> err < /dev/null || actual=$?
  [ "$actual" -eq "$code" ] || fail "exit $actual instead of $code: $*"
  grep -q "$pattern" err || fail "no '$pattern' in: $(cat err)"
}

"$troupe" tokenizer train "$text"/*.txt --vocab 700 --output tokenizer.json > out
grep -q '700 entries' out || fail "train says: $(cat out)"
"$troupe" tokenizer train "$text"/*.txt --vocab 700 --output again.json > out
cmp tokenizer.json again.json || fail "training twice gives two tokenizers"

printf 'L\303\251t\303\251 \377\000 end\n' > bytes
"$troupe" tokenizer encode bytes -t tokenizer.json > ids
"$troupe" tokenizer decode - -t tokenizer.json < ids > back
cmp bytes back || fail "encode and decode give other bytes"

"$troupe" tokenizer eval "$text"/stories.txt "$text"/code.txt -t tokenizer.json --json > scores
jq -e 'length == 3 and .[2].text == "all" and .[2].bytes == .[0].bytes + .[1].bytes and .[0].fertility > 1' scores \
  > out || fail "eval says: $(cat scores)"

"$troupe" tokenizer train "$text"/*.txt --vocab 700 --pattern llama3 --special '<|user|>' '<|assistant|>' \
  --begin-of-text '<|begin|>' --min-frequency 3 --output llama3.json > out
grep -q '700 entries' out || fail "train says: $(cat out)"
printf 'a<|user|>b 1234' > chat
[ "$("$troupe" tokenizer encode chat -t llama3.json --special-names | wc -w)" -lt \
  "$("$troupe" tokenizer encode chat -t llama3.json | wc -w)" ] || fail "--special-names changes nothing"
"$troupe" tokenizer encode chat -t llama3.json --special-names | grep -qw 697 || fail "<|user|> is not token 697"
"$troupe" tokenizer eval "$text"/stories.txt -t tokenizer.json llama3.json --json > scores
jq -e 'length == 4 and .[3].text == "llama3.json all"' scores > out || fail "eval says: $(cat scores)"

for verb in train encode decode eval; do
  "$troupe" tokenizer "$verb" --help | grep -q "troupe tokenizer $verb" || fail "$verb --help has no example"
done

echo "1 2 x" > words
expect 1 "words: byte 4: 'x' is not a token id" "$troupe" tokenizer decode words -t tokenizer.json
expect 1 "token id 700 is outside" sh -c "echo 700 | '$troupe' tokenizer decode - -t tokenizer.json"
expect 1 "missing.txt" "$troupe" tokenizer encode missing.txt -t tokenizer.json
expect 1 "words: byte 3: not valid JSON" "$troupe" tokenizer encode bytes -t words
expect 2 "cannot be trained" "$troupe" tokenizer train bytes --vocab 10 --output new.json
expect 2 "" "$troupe" tokenizer
[ ! -e new.json ] || fail "a refused training wrote its file"
