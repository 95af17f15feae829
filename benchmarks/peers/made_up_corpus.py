"""Text for a benchmark that needs no download: a made-up language whose words have Zipf's frequencies."""
import random

DESCRIPTION = """name: peers
vocab_size: {vocab_size}
document_cap_bytes: 16384
heldout_fraction: 0.02
tokenizer_sample_bytes: 100000000
sources:
  - {{path: text, domain: words, language: en, files: [words.txt], separator: "%%"}}
"""
LEAST_WORDS = 300_000  # enough for a tokenizer of 8192 entries
WORDS_PER_DOCUMENT = 500


def made_up_text(words, seed=1):
    """The same text for the same arguments."""
    rng = random.Random(seed)
    syllables = [a + b for a in "b d f g k l m n p r s t v z ch st".split() for b in "a e i o u ai".split()]
    lexicon = list(dict.fromkeys("".join(rng.choices(syllables, k=rng.randint(1, 4))) for _ in range(40_000)))
    chosen = rng.choices(lexicon, [1 / (rank + 5) for rank in range(len(lexicon))], k=words)
    documents = [chosen[at : at + WORDS_PER_DOCUMENT] for at in range(0, words, WORDS_PER_DOCUMENT)]
    return "\n%%\n".join(map(" ".join, documents)) + "\n"


def describe_corpus(folder, vocab_size, tokens):
    """Writes text of at least so many tokens (a word is one or more) and its description, whose path is returned."""
    (folder / "text").mkdir()
    (folder / "text" / "words.txt").write_text(made_up_text(max(tokens, LEAST_WORDS)))
    description = folder / "corpus.yaml"
    description.write_text(DESCRIPTION.format(vocab_size=vocab_size))
    return description
