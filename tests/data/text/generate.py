#!/usr/bin/env python3
"""Writes the small test text of the project: six domains, one file each, documents separated by "%%".

The same script always writes the same bytes:
    python3 tests/data/text/generate.py            rewrites the files beside this script
    python3 tests/data/text/generate.py --check    fails when a committed file differs
All sentences are made here from templates; a test that needs real prose is a wrong test.
"""
import pathlib
import random
import sys

DOCUMENTS = 72
FOLDER = pathlib.Path(__file__).resolve().parent


class Picker:
    """Choices that depend on nothing but the seed (Random.random() is stable between Python versions)."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def number(self, low, high):
        return low + int(self.random.random() * (high - low + 1))

    def one(self, items):
        return items[self.number(0, len(items) - 1)]

    def some(self, items, count):
        rest = list(items)
        return [rest.pop(self.number(0, len(rest) - 1)) for _ in range(count)]


# --- stories --------------------------------------------------------------------------------------
NAMES = ["Mira", "Tobias", "Elena", "Jonah", "Ruth", "Oscar", "Nadia", "Felix", "Ingrid", "Samuel"]
JOBS = ["baker", "sailor", "clockmaker", "gardener", "painter", "carpenter", "teacher", "postman"]
PLACES = ["harbour", "old mill", "market square", "lighthouse", "railway station", "forest", "bridge"]
THINGS = ["lantern", "letter", "silver key", "wooden boat", "map", "violin", "broken clock", "red scarf"]
MOODS = ["quiet", "stormy", "golden", "cold", "foggy", "warm", "windy"]
STORY_STARTS = [
    "{name} was a {job} who lived near the {place}.",
    "On a {mood} morning, {name} the {job} walked to the {place}.",
    "Everyone at the {place} knew {name}, the {job}.",
]
STORY_MIDDLES = [
    "There {name} found a {thing} that nobody had missed.",
    "\"Whose {thing} is this?\" asked {friend}, but {name} didn't answer.",
    "The {thing} lay in the grass, and it was older than the {place} itself.",
    "{friend} said, \"I've seen a {thing} like that before; it isn't yours.\"",
    "They followed the road for {hours} hours until the sky grew {mood}.",
    "{name} couldn't sleep that night, because the {thing} wouldn't leave her thoughts.",
    "At the {place2} they met a {job2} who'd lost everything but a smile.",
    "\"We'll go together,\" said {friend}, \"and we're not coming back without it.\"",
    "In 18{year} the {place2} had burned down, and only the {thing} was left.",
    "Nobody at the {place2} spoke to them, so they sat down and waited.",
]
STORY_ENDS = [
    "So {name} gave the {thing} to {friend}, and they're friends to this day.",
    "After that, the {place} was never {mood} again.",
    "And when spring came, {name} went home with the {thing} and told no one.",
    "{friend} laughed, and the two of them walked back to the {place}.",
]


def story(pick):
    name, friend = pick.some(NAMES, 2)
    place, place2 = pick.some(PLACES, 2)
    job, job2 = pick.some(JOBS, 2)
    words = dict(name=name, friend=friend, place=place, place2=place2, job=job, job2=job2,
                 thing=pick.one(THINGS), mood=pick.one(MOODS), hours=pick.number(2, 9),
                 year=pick.number(10, 99))
    sentences = [pick.one(STORY_STARTS)] + pick.some(STORY_MIDDLES, pick.number(4, 7)) + [pick.one(STORY_ENDS)]
    return " ".join(sentence.format(**words) for sentence in sentences)


# --- recipes --------------------------------------------------------------------------------------
VEGETABLES = ["carrots", "leeks", "potatoes", "onions", "tomatoes", "mushrooms", "pumpkin", "spinach"]
DISHES = ["soup", "pie", "stew", "salad", "bake", "curry"]
HERBS = ["thyme", "parsley", "basil", "rosemary", "dill", "sage"]
LIQUIDS = ["water", "vegetable stock", "milk", "cream", "coconut milk"]
STEPS = [
    "Peel the {a} and cut the {a} into small pieces.",
    "Heat {spoons} tablespoons of oil in a large pan.",
    "Fry the {b} over a medium heat for {minutes} minutes, stirring often.",
    "Add the {a} and {grams} ml of {liquid}; bring to the boil.",
    "Lower the heat, cover the pan, and simmer for {long} minutes.",
    "Season with salt, pepper and a little {herb}.",
    "Bake at {degrees} °C for {long} minutes, until the top is golden.",
    "Taste, and add more {herb} if you like.",
]


def recipe(pick):
    a, b = pick.some(VEGETABLES, 2)
    words = dict(a=a, b=b, herb=pick.one(HERBS), liquid=pick.one(LIQUIDS), spoons=pick.number(1, 4),
                 minutes=pick.number(3, 12), grams=50 * pick.number(4, 20), long=5 * pick.number(4, 12),
                 degrees=10 * pick.number(15, 22))
    lines = [f"{a.capitalize()} and {b} {pick.one(DISHES)}", "", f"Serves {pick.number(2, 8)}.", "", "You need:"]
    lines += [f"- {50 * pick.number(2, 16)} g {a}", f"- {pick.number(1, 6)} {b}",
              f"- {words['grams']} ml {words['liquid']}", f"- 1/2 bunch of {words['herb']}", "", "Method:"]
    chosen = [step for step in STEPS if pick.number(0, 3) > 0]
    lines += [f"{index}. {step.format(**words)}" for index, step in enumerate(chosen, 1)]
    return "\n".join(lines)


# --- arithmetic -----------------------------------------------------------------------------------
def times_table(pick):
    base = pick.number(2, 99)
    return "\n".join([f"Table of {base}"] + [f"{i:2d} x {base} = {i * base}" for i in range(1, pick.number(12, 24))])


def sums(pick):
    lines = ["Sums with carries"]
    for _ in range(pick.number(12, 20)):
        a, b = pick.number(100, 9999), pick.number(100, 9999)
        lines.append(pick.one([f"{a} + {b} = {a + b}", f"{a + b} - {a} = {b}",
                               f"{a} mod 7 = {a % 7}; {b} mod 7 = {b % 7}"]))
    return "\n".join(lines)


def squares(pick):
    start = pick.number(1, 200)
    rows = ["n\tn^2\tn^3"] + [f"{n}\t{n * n}\t{n ** 3}" for n in range(start, start + pick.number(12, 22))]
    return "\n".join(rows)


def arithmetic(pick):
    return pick.one([times_table, sums, squares])(pick)


# --- code -----------------------------------------------------------------------------------------
NOUNS = ["buffer", "window", "record", "packet", "matrix", "counter", "queue", "cursor"]
VERBS = ["read", "update", "merge", "split", "find", "reset", "copy", "count"]
FIELDS = ["size", "offset", "capacity", "index", "weight", "length"]


def c_function(pick):
    noun, verb = pick.one(NOUNS), pick.one(VERBS)
    first, second = pick.some(FIELDS, 2)
    return f"""/* {verb.capitalize()}s one {noun}; returns the new {first}, or -1. */
static int {noun}_{verb}(struct {noun} *{noun[0]}, const int *values, int n)
{{
\tint i;

\tif ({noun[0]} == NULL || n <= 0)
\t\treturn -1;
\tfor (i = 0; i < n; i++) {{
\t\tif (values[i] > {pick.number(1, 64)} && {noun[0]}->{second} != 0x{pick.number(16, 255):02x})
\t\t\t{noun[0]}->{first} += values[i] * {pick.number(2, 9)};
\t}}
\treturn {noun[0]}->{first};
}}"""


def python_class(pick):
    noun = pick.one(NOUNS)
    first, second = pick.some(FIELDS, 2)
    verb, other = pick.some(VERBS, 2)
    return f"""class {noun.capitalize()}:
    \"\"\"A {noun} with its {first} and {second}.\"\"\"

    def __init__(self, {first}={pick.number(0, 9)}, {second}=None):
        self.{first} = {first}
        self.{second} = {second} or []

    def {verb}(self, items):
        for item in items:
            if item % {pick.number(2, 7)} == 0:
                self.{second}.append(item)
        return len(self.{second})

    def {other}(self):
        return f"{{self.{first}:>{pick.number(3, 9)}}} of {{len(self.{second})}}" """.rstrip()


def shell_script(pick):
    noun, verb = pick.one(NOUNS), pick.one(VERBS)
    return f"""#!/bin/sh
# {verb.capitalize()} every {noun} file under $1.
set -eu
for file in "$1"/*.{noun[:3]}; do
  lines=$(wc -l < "$file")
  if [ "$lines" -gt {pick.number(10, 500)} ]; then
    echo "{verb}: $file ($lines lines)" >&2
    continue
  fi
  sed -e 's/{noun}/{pick.one(NOUNS)}/g' "$file" > "$file.new" && mv "$file.new" "$file"
done"""


def code(pick):
    return pick.one([c_function, python_class, shell_script])(pick)


# --- European languages ---------------------------------------------------------------------------
FRENCH = [
    "Aujourd'hui, {name} est allée à {place} avec l'ami de {friend}.",
    "Il fait {mood}, et l'été n'est pas encore arrivé.",
    "« Où as-tu trouvé {thing} ? » demande {friend}.",
    "Nous n'avons pas vu {thing} depuis {n} ans, c'était déjà perdu.",
    "Les élèves de l'école ont préparé {n} gâteaux pour la fête.",
    "Qu'est-ce qu'il y a derrière {place} ? Peut-être un cœur brisé.",
    "{friend} préfère rester à {place}, où l'on boit du café très fort.",
    "J'espère que {name} reviendra bientôt, dit la vieille dame en souriant.",
]
FRENCH_WORDS = dict(place=["la gare", "la forêt", "la boulangerie", "la plage", "la bibliothèque"],
                    thing=["la clé", "le bateau", "une lettre", "l'horloge", "un château de sable"],
                    mood=["froid", "très chaud", "gris", "beau", "mauvais temps"])
GERMAN = [
    "Heute geht {name} mit {friend} zum {place}, obwohl es {mood} ist.",
    "„Wo hast du {thing} gefunden?“, fragt {friend} überrascht.",
    "Seit {n} Jahren hat niemand mehr über {thing} gesprochen.",
    "Die Straßenbahn fährt um {n} Uhr zurück, und wir müssen schnell einsteigen.",
    "Am {place} gibt es schöne Häuser, große Bäume und süße Äpfel.",
    "{name} weiß, dass {thing} nicht größer als ein Schlüssel sein kann.",
    "Früher hörte man hier die Vögel, heute hört man nur den Verkehr.",
    "Das Donaudampfschifffahrtsmuseum öffnet erst in {n} Tagen.",
]
GERMAN_WORDS = dict(place=["Bahnhof", "Fluss", "Marktplatz", "Königsschloss", "Gemüsegarten"],
                    thing=["das Fläschchen", "den Brief", "die Landkarte", "das Geheimnis"],
                    mood=["kalt", "regnerisch", "heiß", "neblig", "stürmisch"])


def sentences_of(templates, vocabulary, pick, count):
    name, friend = pick.some(NAMES, 2)
    words = {key: pick.one(choices) for key, choices in vocabulary.items()}
    chosen = pick.some(templates, count)
    return " ".join(s.format(name=name, friend=friend, n=pick.number(2, 30), **words) for s in chosen)


def european(pick):
    if pick.number(0, 1) == 0:
        return sentences_of(FRENCH, FRENCH_WORDS, pick, pick.number(5, 8))
    return sentences_of(GERMAN, GERMAN_WORDS, pick, pick.number(5, 8))


# --- Chinese and Arabic ---------------------------------------------------------------------------
CHINESE = [
    "今天天气{mood}，{name}和{friend}一起去{place}。",
    "“你在哪里找到{thing}的？”{friend}问。",
    "我们已经{n}年没有看见{thing}了。",
    "{place}旁边有一家小店，卖茶和面包。",
    "老师说，学习语言需要很多时间和耐心。",
    "{name}把{thing}放在桌子上，然后慢慢地走了。",
    "晚上{n}点，火车从{place}出发。",
]
CHINESE_WORDS = dict(place=["图书馆", "火车站", "公园", "海边", "市场"], thing=["一封信", "钥匙", "地图", "旧钟"],
                     mood=["很好", "很冷", "不太热", "有雨"], name=["小明", "丽丽", "王伟"], friend=["老李", "小红", "张华"])
ARABIC = [
    "اليوم الطقس {mood}، وذهب {name} مع {friend} إلى {place}.",
    "أين وجدت {thing}؟ سأل {friend}.",
    "لم نر {thing} منذ {n} سنوات.",
    "بجانب {place} متجر صغير يبيع الشاي والخبز.",
    "قال المعلم إن تعلم اللغة يحتاج إلى وقت وصبر كثير.",
    "وضع {name} {thing} على الطاولة ثم مشى ببطء.",
    "يغادر القطار من {place} في الساعة {n}.",
]
ARABIC_WORDS = dict(place=["المكتبة", "المحطة", "الحديقة", "البحر", "السوق"],
                    thing=["الرسالة", "المفتاح", "الخريطة", "الساعة القديمة"],
                    mood=["جميل", "بارد", "حار", "ممطر"], name=["سامي", "كريم", "يوسف"], friend=["عمر", "خالد", "حسن"])


def chinese_arabic(pick):
    chinese = pick.number(0, 1) == 0
    templates, vocabulary = (CHINESE, CHINESE_WORDS) if chinese else (ARABIC, ARABIC_WORDS)
    words = {key: pick.one(choices) for key, choices in vocabulary.items()}
    chosen = pick.some(templates, pick.number(5, 7)) + pick.some(templates, pick.number(3, 6))
    return ("" if chinese else " ").join(s.format(n=pick.number(2, 30), **words) for s in chosen)


DOMAINS = [story, recipe, arithmetic, code, european, chinese_arabic]
FILES = ["stories", "recipes", "arithmetic", "code", "european", "chinese_arabic"]


def domain_text(seed, make):
    pick = Picker(seed)
    return "\n%%\n".join(make(pick) for _ in range(DOCUMENTS)) + "\n"


def main():
    stale = []
    for seed, (name, make) in enumerate(zip(FILES, DOMAINS), 1):
        path, content = FOLDER / f"{name}.txt", domain_text(seed, make).encode("utf-8")
        if "--check" not in sys.argv:
            path.write_bytes(content)
        elif not path.exists() or path.read_bytes() != content:
            stale.append(path.name)
    if stale:
        sys.exit(f"differ from what this script writes: {', '.join(stale)}; run it again without --check")


if __name__ == "__main__":
    main()
