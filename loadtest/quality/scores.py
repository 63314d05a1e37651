"""Our scores beside those of rouge-score and sacreBLEU, on the same texts; and how long one document takes.

    python3 loadtest/quality/scores.py [--pairs 2000] [--seed N]
    python3 loadtest/quality/scores.py --time
    python3 loadtest/quality/scores.py --golden

The pairs: what stands in PAIRS, pieces of the documents of tests/documents (English and French) with words left out, doubled and moved, and
strings of odd characters. Every figure must be equal to 1e-12 of itself. `--golden` writes what the packages say of a part of them to
services/shared/quality/tests/golden/scores.json, which the crate's tests read.

`--time`: a source of 1,300 tokens (900 words), a summary of 120 words and a reference of 120. Ours is everything that is measured on an
answer: checks, scores against source and reference, index. Beside it rouge-score with the same figures of ROUGE (three against the source,
twelve against the reference, plain and stemmed), and sacreBLEU's BLEU and chrF. Bar: ours takes at most 3 ms.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE.parent / "engine")]

import extractive  # noqa: E402
import fetch  # noqa: E402

GOLDEN = ROOT / "services/shared/quality/tests/golden/scores.json"
DOCUMENTS = ROOT / "tests/documents"
TOLERANCE = 1e-12
MAX_MICROSECONDS = 3_000
METRICS = ("rouge1", "rouge2", "rougeL", "rougeLsum")

# (reference, summary): what once went wrong somewhere, or could.
PAIRS = [
    ("", ""),
    ("", "The tenant pays."),
    ("The tenant pays.", ""),
    ("rent", "rent"),
    ("Rent", "rent!"),
    ("rent", "lease"),
    (" \n\t ", "rent"),
    ("...", ",,,"),
    ("The tenant pays the rent each month.", "The tenant pays the rent each month."),
    ("The tenant pays the rent each month.", "Each month the rent is paid by the tenants."),
    (
        "The rent is due.\nThe deposit is held.\nNotice takes three months.",
        "Notice takes three months.\nThe rent is due.",
    ),
    ("the the the the\nthe the", "the\nthe the the\n\nthe"),
    ("a b c d e\nf g h i j", "a c e\nb d f\ng i\nj h"),
    (
        "Le locataire verse un loyer à l'échéance.",
        "Le loyer est versé par le locataire à l’échéance.",
    ),
    ("Été à Évreux : 1 234,56 € dus.", "L'été, à Évreux, 1\u202f234,56 € étaient dus."),
    ("Die Müllerstraße ist gesperrt.", "DIE MÜLLERSTRASSE IST GESPERRT."),
    ("İstanbul'da ISIRMAK ısırmak", "istanbul'da isirmak"),
    ("273 K (\u212a) and 10 \u212b", "273 k and 10 å"),
    ("房租每月一日支付。", "每月一日支付房租。"),
    ("家賃は毎月一日に払う。", "毎月、家賃を払う。"),
    ("임차인은 매월 임대료를 지불한다.", "임대료는 매월 지불한다."),
    ("Ο ενοικιαστής πληρώνει.", "πληρώνει ο ενοικιαστής"),
    ("👍🏽 rent 🇫🇷 👩\u200d👩\u200d👧", "rent 👍 🇫🇷"),
    ("e\u0301te\u0301", "été"),
    ("A &amp; B &lt;c&gt; &quot;d&quot; &amp;lt;", 'A & B <c> "d" <'),
    ("<skipped> well-\nknown 10-20, 3.14; p. 5-", "well known 10 - 20, 3.14 ; p. 5"),
    ("1,000.50 -5 2-3 4.,5 .5, ,6.", "1,000.50 - 5 2 -3 4. ,5 . 5 , , 6 ."),
    ("U.S. vs. U.K.; e.g. a.b.c", "U.S. v. UK; eg abc"),
    ("[a] {b} ~c~ `d` ^e^ _f_ \\g/ h|i @j #k $l %m *n +o =p", "a b c d e f g h i j k l m n o p"),
    ("don't can't it's 'quoted' \u201cso\u201d", "dont cant its quoted so"),
    (
        "tab\tfeed\x0cunit\x1fseparator\x85next\u2028line\xa0hard",
        "tab feed unit separator next line hard",
    ),
    ("word\r\nline\rother\nend", "word line other end"),
    (
        "caresses ponies ties cats agreed feed plastered motoring sing conflated troubled sized",
        "caress pony tie cat agree feed plaster motor sing conflate trouble size",
    ),
    (
        "hopping tanned falling hissing fizzed failing filing happy sky enjoy by say",
        "hop tan fall hiss fizz fail file happi skies enjoyment sayings",
    ),
    (
        "relational conditional rational valenci hesitanci digitizer conformabli radicalli differentli vileli analogousli",
        "relate condition ration valence hesitance digitize conformable radical different vile analogous",
    ),
    (
        "vietnamization predication operator feudalism decisiveness hopefulness callousness formaliti sensitiviti sensibiliti",
        "vietnamize predicate operate feudal decisive hopeful callous formal sensitive sensible",
    ),
    (
        "triplicate formative formalize electriciti electrical hopeful goodness theologi nationalli carefulli",
        "triplic form formal electric hope good theology national careful",
    ),
    (
        "revival allowance inference airliner gyroscopic adjustable defensible irritant replacement adjustment dependent adoption",
        "reviv allow infer airlin gyroscop adjust defens irrit replac adjust depend adopt",
    ),
    (
        "homologou communism activate angulariti homologous effective bowdlerize probate rate cease controll roll",
        "homolog commun activ angular homolog effect bowdler probat rate ceas control roll",
    ),
    (
        "skies dying lying tying news innings outing cannings howe proceed exceed succeed spied died flies dies",
        "sky die lie tie new inning outings canning how proceeds exceeding succeeded spy fly",
    ),
    (
        "syzygy yyyy yyyyy yes toy ay yayed yying sayyed x7ing 4ed 12ies 99sses oed aied",
        "syzygies yyyys yy yess toys ays yay ying sayy x7 4e 12i 99ss oe ai",
    ),
    ("rationalli ationalli allialli alli ally analli ational", "rational ate alli ally"),
    ("gas bus ss s es ies sses ed ing eed ied y e ll ion tion", "ga bu s e i ss d in ee y ll io"),
    ("rent " * 70, "rent " * 65 + "lease"),
    ("a b " * 40 + "\n" + "b a " * 40, "b a a b " * 33),
    ("word " * 300 + "end", "end " + "word " * 200),
]


def document_pairs(chance: random.Random, count: int) -> list[tuple[str, str]]:
    """Pieces of real documents, and what is left of them when words were dropped, doubled and moved."""
    texts = [path.read_text("utf-8") for path in sorted(DOCUMENTS.iterdir())]
    pairs = []
    while len(pairs) < count:
        text = chance.choice(texts)
        start = chance.randrange(max(1, len(text) - 900))
        reference = text[start : start + chance.randrange(20, 900)]
        words = reference.split(" ")
        kept = [word for word in words if chance.random() > 0.3]
        for _ in range(len(kept) // 8):
            place = chance.randrange(len(kept))
            kept.insert(chance.randrange(len(kept)), kept[place])
        if chance.random() < 0.3:
            chance.shuffle(kept)
        pairs.append((reference, " ".join(kept)))
    return pairs


def odd_pairs(chance: random.Random, count: int) -> list[tuple[str, str]]:
    """Strings of what tokenizers differ on."""
    pieces = [
        *" \n\t.,-'\"&;<>()[]{}/\\|~`^_@#$%*+=:!?",
        "&amp;",
        "&quot;",
        "-\n",
        "<skipped>",
        "é",
        "ß",
        "İ",
        "漢",
        "👍",
        "\x1c",
        "\x85",
        "\xa0",
    ]
    pieces += [
        "a",
        "b",
        "1",
        "2",
        "rent",
        "ies",
        "ing",
        "ation",
        "alli",
        "yed",
        "The",
        "10",
        "\u2028",
    ]
    # The parts of a pair of UTF-16 are no characters, and neither package is asked about them.
    pieces += [chr(chance.randrange(0x20, 0xD800)) for _ in range(300)]

    def text() -> str:
        return "".join(chance.choice(pieces) for _ in range(chance.randrange(60)))

    def alike(reference: str) -> str:
        characters = [character for character in reference if chance.random() > 0.2]
        return "".join(characters) + text()[:8]

    return [(reference := text(), alike(reference)) for _ in range(count)]


def stem_pairs(chance: random.Random, count: int) -> list[tuple[str, str]]:
    """Made-up words with the endings that the stemmer knows."""
    endings = "ational tional enci anci izer bli alli entli eli ousli ization ation ator alism iveness fulness ousness aliti iviti biliti fulli logi icate ative alize iciti ical ful ness al ance ence er ic able ible ant ement ment ent ion sion tion ou ism ate iti ous ive ize ed ing eed ied ies s sses y e ll at bl iz".split()

    def word() -> str:
        stem = "".join(chance.choice("abcdeilnosty") for _ in range(chance.randrange(6)))
        return stem + "".join(chance.choice(endings) for _ in range(chance.randrange(1, 3)))

    def pair() -> tuple[str, str]:
        words = [word() for _ in range(30)]
        cut = [word[: -chance.randrange(1, 4)] or word for word in words]
        return " ".join(words), " ".join(cut)

    return [pair() for _ in range(count)]


class Packages:
    """rouge-score and sacreBLEU."""

    def __init__(self, folder: Path) -> None:
        with tarfile.open(fetch.source(*extractive.ROUGE, fetch.CACHE)) as archive:
            archive.extractall(folder, filter="data")
        sys.path.insert(0, str(folder / "rouge_score-0.1.2"))
        from rouge_score.rouge_scorer import RougeScorer
        from sacrebleu import sentence_bleu, sentence_chrf

        self.scorers = {
            "": RougeScorer(METRICS),
            "stemmed_": RougeScorer(METRICS, use_stemmer=True),
        }
        self.source_scorer = RougeScorer(METRICS[:3])
        self.bleu, self.chrf = sentence_bleu, sentence_chrf

    def scores(self, reference: str, summary: str) -> dict:
        found = {}
        for prefix, scorer in self.scorers.items():
            for name, score in scorer.score(reference, summary).items():
                found[prefix + name] = [score.precision, score.recall, score.fmeasure]
        found["bleu"] = self.bleu(summary, [reference]).score
        found["chrf"] = self.chrf(summary, [reference]).score
        return found


def example(pairs: list[dict], *arguments: str, release: bool = False) -> list:
    """What our example says of each pair."""
    command = ["cargo", "run", "--quiet", "--locked", "--package", "precis-quality"]
    command += ["--release"] * release + ["--example", "scores", "--", *arguments]
    lines = "".join(json.dumps(pair) + "\n" for pair in pairs)
    done = subprocess.run(
        command, cwd=ROOT, check=True, input=lines.encode(), stdout=subprocess.PIPE
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def difference(found: dict, expected: dict) -> str | None:
    """The first figure that is not the packages'."""
    for name, value in expected.items():
        one = found[name] if isinstance(value, list) else [found[name]]
        other = value if isinstance(value, list) else [value]
        for ours, theirs in zip(one, other, strict=True):
            if abs(ours - theirs) > TOLERANCE * max(1.0, abs(theirs)):
                return f"{name} is {ours!r} instead of {theirs!r}"
    return None


def compare(packages: Packages, count: int, seed: int) -> int:
    chance = random.Random(seed)
    pairs = PAIRS + document_pairs(chance, count // 2) + odd_pairs(chance, count // 4)
    pairs += stem_pairs(chance, count // 4)
    ours = example([{"reference": reference, "summary": summary} for reference, summary in pairs])
    problems = 0
    for (reference, summary), found in zip(pairs, ours, strict=True):
        if problem := difference(found, packages.scores(reference, summary)):
            problems += 1
            print(f"{problem}: {reference!r}, {summary!r}")
    print(f"{len(pairs)} pairs, seed {seed}: {problems} differ")
    return 1 if problems else 0


def golden(packages: Packages) -> int:
    chance = random.Random(15)
    # No document of others is kept here: it stands in the repository already.
    pairs = PAIRS + odd_pairs(chance, 20) + stem_pairs(chance, 10)
    kept = [
        {"reference": reference, "summary": summary, "scores": packages.scores(reference, summary)}
        for reference, summary in pairs
    ]
    lines = ",\n".join(json.dumps(pair) for pair in kept)
    GOLDEN.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{len(kept)} pairs")
    return 0


def timed(packages: Packages) -> int:
    words = (DOCUMENTS / "handbook-why-debian.md").read_text("utf-8").split()
    source, summary, reference = (
        " ".join(words[start:end]) for start, end in ((0, 900), (40, 160), (90, 210))
    )
    pair = {"source": source, "reference": reference, "summary": summary}
    (ours,) = example([pair], "--repeat", "200", release=True)

    def rouge() -> None:
        packages.source_scorer.score(source, summary)
        for scorer in packages.scorers.values():
            scorer.score(reference, summary)

    def bleu() -> None:
        packages.bleu(summary, [reference])
        packages.chrf(summary, [reference])

    def least(work, times: int = 20) -> float:
        best = float("inf")
        for _ in range(times):
            begun = time.perf_counter()
            work()
            best = min(best, time.perf_counter() - begun)
        return best * 1e6

    rows = [
        ("ours: all that is measured", ours),
        ("rouge-score", least(rouge)),
        ("sacreBLEU", least(bleu)),
    ]
    print(f"{'':28}{'ms a document':>14}{'against ours':>14}")
    for name, microseconds in rows:
        print(f"{name:28}{microseconds / 1000:14.3f}{microseconds / ours:13.1f}x")
    held = ours <= MAX_MICROSECONDS
    print(
        f"bar: at most {MAX_MICROSECONDS / 1000:g} ms a document: " + ("held" if held else "missed")
    )
    return 0 if held else 1


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pairs", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=15)
    parser.add_argument("--golden", action="store_true", help="write the kept corpus")
    parser.add_argument("--time", action="store_true", help="how long one document takes")
    arguments = parser.parse_args()
    python = extractive.environment()
    if Path(sys.prefix) != python.parents[1]:
        os.execv(python, [str(python), *sys.argv])
    with tempfile.TemporaryDirectory(prefix="precis-scores-") as folder:
        packages = Packages(Path(folder))
        if arguments.golden:
            return golden(packages)
        if arguments.time:
            return timed(packages)
        return compare(packages, arguments.pairs, arguments.seed)


if __name__ == "__main__":
    sys.exit(main())
