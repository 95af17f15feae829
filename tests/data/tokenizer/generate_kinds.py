#!/usr/bin/env python3
"""Writes small tokenizers of every published kind, and what Hugging Face's `tokenizers` package (0.23.3 from PyPI)
gives with them on 2000 hard strings, for the C++ tests to agree with.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install tokenizers==0.23.3
    /tmp/venv/bin/python tests/data/tokenizer/generate_kinds.py

kinds/NAME.json     a tokenizer of a few hundred entries with the pipeline of that kind, trained on tests/data/text
kinds/hashes.json   for every kind FNV-1a hashes of its ids, one per 100 strings, with the names of special tokens
                    as text and as tokens; and the pieces of the strings

The C++ test puts the strings together as this does: pieces of many scripts, spaces, digits,
contractions, names of special tokens, put together at random.
"""
import json
import pathlib

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = pathlib.Path(__file__).resolve().parent
TEXTS = [str(path) for path in sorted((HERE.parent / "text").glob("*.txt"))]
STRINGS, GROUP = 2000, 100
SPECIALS = ["<|endoftext|>", "<s>", "<|im_start|>"]

LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
          r"|\s+(?!\S)|\s+")
QWEN = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = ("[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         "|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+")
DEEPSEEK = [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
            "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
            "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"]


def byte_level(splits=(), use_regex=False):
    stages = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in splits]
    return pre_tokenizers.Sequence(stages + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)])


def trained(pre_tokenizer, normalizer=None, entries=500):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=entries, special_tokens=SPECIALS, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train(TEXTS, trainer)
    return tokenizer


def changed(tokenizer, **model):
    document = json.loads(tokenizer.to_str())
    document["model"].update(model)
    return Tokenizer.from_str(json.dumps(document))


def sentence_piece(prefix):
    """Byte fallback, as Llama 2 (with a space first) and Gemma (without) have it."""
    replace = normalizers.Replace(" ", "▁")
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), replace] if prefix else [replace])
    if not prefix:
        tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    stages = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    tokenizer.decoder = decoders.Sequence(stages + ([decoders.Strip(" ", 1, 0)] if prefix else []))
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=900, special_tokens=["<unk>", "<s>", "</s>"] + bytes_, limit_alphabet=120,
                                  show_progress=False, max_token_length=12)
    tokenizer.train(TEXTS, trainer)
    document = json.loads(tokenizer.to_str())
    document["added_tokens"] = [token for token in document["added_tokens"] if not token["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(document))


def kinds():
    yield "gpt2", trained(byte_level(use_regex=True))
    llama3 = changed(trained(byte_level([LLAMA3])), ignore_merges=True)
    llama3.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    yield "llama3", llama3
    yield "qwen", trained(byte_level([QWEN]), normalizers.NFC())
    yield "o200k", trained(byte_level([O200K]))
    yield "deepseek", trained(byte_level(DEEPSEEK))
    digits = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                      pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    yield "digits", trained(digits)
    added = trained(byte_level([LLAMA3]))
    added.add_tokens([AddedToken("    ", normalized=False), AddedToken("word", single_word=True, normalized=False),
                      AddedToken("été", normalized=True)])
    added.add_special_tokens([AddedToken("<|left|>", lstrip=True, special=True, normalized=False),
                              AddedToken("<|right|>", rstrip=True, special=True, normalized=False)])
    yield "added", added
    yield "llama2", sentence_piece(True)
    yield "gemma", sentence_piece(False)


PIECES = [" ", "  ", "    ", "\t", "\n", "\r\n", "\n\n", "\u00a0", "\u3000", "\u2028", "\u0085", "\u180e", "\u200b", "a", "The",
          "word", "words", "HTTPServer", "camelCase", "don't", "I'LL", "we'Ve", "'s", "'ſ", "''", "1", "12", "123", "1234567",
          "３４", "٣٤٥", "१२३", "½", "²", "Ⅷ", "été", "e\u0301te\u0301", "Å", "\u212b", "ﬁ", "straße", "ǅ", "ʰ", "今天", "天气很好",
          "東京タワー", "カタカナ", "ひらがな", "ﾊﾝｶｸ", "한국어", "\u1112\u1161\u11ab", "ذهب", "שלום", "नमस्ते", "สวัสดี", "Привет", "Ω",
          "👩‍👩‍👧‍👦", "🇫🇷", "👍🏽", "❤️", "∑", "𝒜", "\u0301", "!", "...", "--", "=>", "//", "_", "__init__", "(x)", "[1,2]", "{", "}",
          "\"", "#", "$5", "%", "@", "~", "`", "\\", "/", ".py", ".\n", "!\n\n", "),\r\n", "<|endoftext|>", "<s>", "<|im_start|>",
          "<|left|>", "<|right|>", "</s>", "<0x0A>", "▁", "▁▁", "\x00", "\x1f", "\x7f", "\ufeff", "\ufffd", "\U0010ffff"]


def hard_strings():
    state = 1
    for _ in range(STRINGS):
        text = ""
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        for _ in range((state >> 33) % 12 + 1):
            state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
            text += PIECES[(state >> 33) % len(PIECES)]
        yield text


def hashes(tokenizer, names_are_text):
    tokenizer.encode_special_tokens = names_are_text
    result, value = [], 0xCBF29CE484222325
    for number, text in enumerate(hard_strings(), 1):
        for token in tokenizer.encode(text, add_special_tokens=False).ids + [-1 % 2**32]:
            value = (value ^ token) * 0x100000001B3 % 2**64
        if number % GROUP == 0:
            result.append(f"{value:016x}")
            value = 0xCBF29CE484222325
    return result


def main():
    folder = HERE / "kinds"
    folder.mkdir(exist_ok=True)
    expected = {}
    for name, tokenizer in kinds():
        document = json.loads(tokenizer.to_str())
        text = json.dumps(document, ensure_ascii=True, separators=(",", ":"))
        (folder / f"{name}.json").write_text(text + "\n")
        expected[name] = {"as_text": hashes(tokenizer, True), "as_tokens": hashes(tokenizer, False)}
    (folder / "hashes.json").write_text(json.dumps({"pieces": PIECES, "group": GROUP, "kinds": expected}) + "\n")


if __name__ == "__main__":
    main()
