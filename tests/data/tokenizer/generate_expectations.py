#!/usr/bin/env python3
"""Writes what Hugging Face's `tokenizers` package (0.23.3 from PyPI) says, for the C++ tests to agree with.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install tokenizers==0.23.3
    /tmp/venv/bin/python tests/data/tokenizer/generate_expectations.py

hugging_face.json  a tokenizer of 1000 entries that the package trained on tests/data/text
expectations.json  texts, and the ids that the package gives with that tokenizer
"""
import json
import pathlib

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).resolve().parent
TEXT = HERE.parent / "text"
END_OF_TEXT = "<|endoftext|>"

CASES = {
    "empty": "",
    "one space": " ",
    "English": "The quick brown fox doesn't jump; it's over there, isn't it? We'll see -- they've said so.",
    "French": "L'été dernier, j'ai mangé des crêpes à la crème brûlée : « c'était déjà Noël » !",
    "German": "Der größte Käse überquert die Straße, während Jürgen „schön“ ruft.",
    "Chinese": "今天天气很好，我们去图书馆看书。学习语言需要耐心！",
    "Japanese": "東京タワーはとても高いです。カタカナとひらがな、ﾊﾝｶｸ。",
    "Arabic": "ذهب الطالب إلى المكتبة وقرأ الكتاب، ثم كتب رسالةً طويلة؟ ٣٤٥",
    "Hindi": "नमस्ते दुनिया, यह एक परीक्षण है। १२३",
    "Thai": "สวัสดีชาวโลก ๔๕๖",
    "emoji": "👩‍👩‍👧‍👦 family, flags 🇫🇷🇩🇪, skin 👍🏽, heart ❤️ !",
    "C": "static int f(struct buffer *b, int n)\n{\n\tfor (int i = 0; i < n; i++) {\n\t\tb->size += i * 0xff;\n\t}\n}\n",
    "Python": "class A:\n    def __init__(self, x=None):\n        self.x = x or [1, 2, 3]\n\n\n    # end  \n",
    "contractions": "'s 't 're 've 'm 'll 'd 'S 'T 'LL I'dn't rock'n'roll ''s '' '",
    "numbers": "3.14159 1,000,000 x² ½ Ⅷ 2024-01-31 0x1F 1e-9",
    "spaces": "  two   three\ttab\t\ttabs \n newline\n\n\nmany  \r\n  crlf\u00a0no-break\u3000ideographic\u2028line\x85next  ",
    "end of text is text here": f"a {END_OF_TEXT} b{END_OF_TEXT}",
    "controls": "\x00\x01\x1c\x1d\x1e\x1f\x7f zero\u200bwidth \ufeffmark \u180evowel",
    "combining": "e\u0301 n\u0303o \u0301alone q\u0323\u0307",
    "mathematics": "𝒜𝔹 ∑∫√ α+β≤γ ℝ³ 𝟘𝟙",
}


def without_space(size):
    """Lower-case letters from the 64-bit generator of Knuth's MMIX; the C++ test makes the same."""
    state, letters = 1, bytearray()
    for _ in range(size):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        letters.append(ord("a") + (state >> 33) % 26)
    return letters.decode("ascii")


def fnv1a(ids):
    value = 0xCBF29CE484222325
    for number in ids:
        value = (value ^ number) * 0x100000001B3 % 2**64
    return f"{value:016x}"


def train():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=1000, min_frequency=2, special_tokens=[END_OF_TEXT], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    texts = [path.read_bytes().decode("utf-8") for path in sorted(TEXT.glob("*.txt"))]
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def main():
    tokenizer = train()
    tokenizer.encode_special_tokens = True  # as Troupe does: special tokens are never made from text

    def encode(text):
        return tokenizer.encode(text, add_special_tokens=False).ids

    cases = [{"name": name, "text": text, "ids": encode(text)} for name, text in CASES.items()]
    long_ids = encode(without_space(1_000_000))
    long_case = {"bytes": 1_000_000, "tokens": len(long_ids), "fnv1a": fnv1a(long_ids)}
    lines = json.dumps({"without_space": long_case, "cases": cases}).replace(' {"name"', '\n{"name"')
    (HERE / "expectations.json").write_text(lines + "\n")
    (HERE / "hugging_face.json").write_text(tokenizer.to_str(pretty=False) + "\n")


if __name__ == "__main__":
    main()
