"""`make bench-engine`: Précis's engine and llama.cpp at the same work, on the same cores, in the same minutes. See ../README.md."""

import argparse
import datetime
import hashlib
import json
import os
import statistics
import subprocess
from dataclasses import asdict
from pathlib import Path

import peer as llama
import roofline as registers
import search
from engines import Figure, Peer, Precis
from limits import Limits
from prompts import OUT, TARGET, WORK, Papers, tell, write
from worker import Worker

HERE = Path(__file__).resolve().parent
# Load average above which others use the machine. llama.cpp's threads wait for each other in loops, so that company costs it most.
BUSY = 0.7


class Size:
    """How large the figures are: what the issue asks for, or just enough to see that all works."""

    def __init__(self, quick: bool):
        self.contexts = (64, 160) if quick else (512, 1300)
        self.batch = 4 if quick else 32
        self.prefills = 1 if quick else 4
        # Decode steps, of a batch and of one sequence.
        self.steps = (8, 8) if quick else (64, 128)


def roofline(threads: int, isa: str) -> dict:
    program = registers.program(WORK, isa, llama.FLAGS[isa])
    found = json.loads(
        subprocess.run([program, str(threads)], capture_output=True, text=True, check=True).stdout
    )
    tell(f"roofline, {threads} threads: {found[str(threads)]}")
    return found


def machine() -> dict:
    """What settings found by a search are good for."""
    info = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        info.setdefault(name.strip(), value.strip())
    cores = len(os.sched_getaffinity(0))
    key = f"{info.get('model name')} {info.get('flags')} {cores}"
    return {
        "cpu": info.get("model name"),
        "cores": cores,
        "id": hashlib.sha256(key.encode()).hexdigest()[:12],
    }


def prompt_files(papers: Papers, every: Papers, size: Size) -> dict[str, Path]:
    """The same token ids for both engines. `papers` are those that are summarised, `every` is where other prompts are cut from."""
    text = [token for prompt in every.prompts for token in prompt]
    length = max(size.contexts)
    sets = {
        "documents": papers.prompts,
        "search": every.sample(min(len(papers.prompts), size.batch)).prompts,
        "prefill": [text[index * length : (index + 1) * length] for index in range(size.prefills)],
        "text": every.prompts,
    }
    files = {name: write(chosen, WORK / f"{name}.ids") for name, chosen in sets.items()}
    tell(
        f"{len(papers.prompts)} documents of {len(every.prompts)} papers, {papers.mean():.0f} tokens in the mean"
    )
    return files | {"mean": papers.mean()}


def figures_of(files: dict, new_tokens: int, size: Size) -> dict[str, Figure]:
    found = {
        "documents": Figure(
            f"documents/min, {files['mean']:.0f} in / {new_tokens} out",
            "documents",
            files["documents"],
            size.batch,
            new_tokens=new_tokens,
        ),
        "natural": Figure(
            f"documents/min, natural stop, ≤ {new_tokens} out",
            "documents",
            files["documents"],
            size.batch,
            new_tokens=new_tokens,
            natural=True,
        ),
        "prefill": Figure(
            f"prefill tokens/s at {max(size.contexts)}",
            "prefill",
            files["prefill"],
            context=max(size.contexts),
        ),
        "search_documents": Figure(
            "", "documents", files["search"], size.batch, new_tokens=min(new_tokens, 48)
        ),
    }
    for batch, steps in zip((size.batch, 1), size.steps):
        for context in size.contexts:
            name = f"decode tokens/s, {'one sequence' if batch == 1 else f'{batch} sequences'} at {context}"
            found[f"decode-{batch}-{context}"] = Figure(
                name, "decode", files["text"], batch, context, steps
            )
    return found


def limit_of(figure: Figure, limits: Limits, mean: float) -> float:
    if figure.kind == "prefill":
        return limits.prefill(figure.context)
    if figure.kind == "decode":
        return limits.decode(figure.batch, figure.context + figure.new_tokens / 2)
    return limits.documents(mean, figure.new_tokens, figure.batch)


def describe(settings: dict) -> str:
    extra = "".join(
        f", {name} {settings[name]}" for name in ("ubatch", "unified") if name in settings
    )
    return f"{settings['weights'].upper()}, KV {settings['kv']}, flash {'on' if settings['flash'] else 'off'}, {settings['slots']} slots{extra}"


def table(
    figures: dict, settings: dict, rounds: dict, limits: Limits, mean: float, size: Size
) -> str:
    median = lambda key, side, name: statistics.median(
        getattr(result, name) for result in rounds[key][side]
    )
    lines = [
        "| figure | llama.cpp's best | its settings | Précis | ratio | tokens/CPU s: llama.cpp | Précis | of the limit: llama.cpp | Précis |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for key, figure in figures.items():
        if key not in rounds:
            continue
        pairs = list(zip(rounds[key]["peer"], rounds[key]["ours"]))
        ratio = statistics.median(ours.rate / theirs.rate for theirs, ours in pairs)
        theirs, ours = median(key, "peer", "rate"), median(key, "ours", "rate")
        limit = limit_of(figure, limits, mean)
        share = lambda value: "–" if figure.natural else f"{value / limit:.0%}"
        cells = [
            figure.name,
            f"{theirs:.1f}",
            describe(settings[key]),
            f"{ours:.1f}",
            f"**{ratio:.2f} ×**",
            f"{median(key, 'peer', 'tokens_per_cpu_second'):.0f}",
            f"{median(key, 'ours', 'tokens_per_cpu_second'):.0f}",
            share(theirs),
            share(ours),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    for context in size.contexts:
        many, one = (f"decode-{batch}-{context}" for batch in (size.batch, 1))
        if many in rounds and one in rounds:
            gain = lambda side: median(many, side, "rate") / median(one, side, "rate")
            lines.append(
                f"| decode, batch {size.batch} against own single, at {context} | {gain('peer'):.2f} × | | {gain('ours'):.2f} × | | | | | |"
            )
    for key in ("documents", f"decode-{size.batch}-{max(size.contexts)}"):
        if key in rounds:
            peak = max(result.peak_rss_mib for result in rounds[key]["ours"])
            pool = rounds[key]["ours"][0].details["kv_mib"]
            theirs = max(result.peak_rss_mib for result in rounds[key]["peer"])
            what = (
                "documents"
                if key == "documents"
                else figures[key].name.removeprefix("decode tokens/s, ")
            )
            lines.append(
                f"| peak memory, MiB ({what}) | {theirs:.0f} | | {peak:.0f} = pool {pool:.1f} + {peak - pool:.0f} | | | | | |"
            )
    return "\n".join(lines) + "\n"


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--precis", type=Path, default=TARGET / "release/precis")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--documents", type=int, default=32, help="how many of the 112 papers")
    parser.add_argument("--new-tokens", type=int, default=128)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--isa",
        choices=sorted(llama.ISAS),
        default="native",
        help="avx2: both engines without AVX-512",
    )
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="FIGURE",
        help="documents, natural, prefill, decode-32-512, decode-1-1300, …, worker",
    )
    parser.add_argument("--search", action="store_true", help="search the peer's best again")
    parser.add_argument(
        "--quick", action="store_true", help="a smoke run: whether all works, no figures to quote"
    )
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.documents, options.new_tokens = 1, min(options.documents, 2), 16
    return options


def main() -> None:
    options = parse()
    size = Size(options.quick)
    WORK.mkdir(parents=True, exist_ok=True)
    OUT.mkdir(parents=True, exist_ok=True)
    program = llama.driver(options.isa)
    pulled = subprocess.run(
        [options.precis, "models", "pull", "--json"], capture_output=True, text=True, check=True
    )
    model = Path(json.loads(pulled.stdout)["path"])
    theirs = Peer(program, llama.weights(program, model), options.threads)
    ours = Precis(options.precis, options.threads, options.isa, size.batch)
    every = Papers.load(options.precis, WORK)
    papers = every.sample(options.documents)
    files = prompt_files(papers, every, size)
    inside = Worker(ours, papers, size.batch)
    figures = figures_of(files, options.new_tokens, size)

    host = machine()
    load = os.getloadavg()[0]
    if load > BUSY:
        tell(
            f"warning: the load average is {load:.1f}; only an idle machine gives figures worth quoting"
        )
    before = roofline(options.threads, options.isa)
    kept = WORK / f"settings-{host['id']}-{options.isa}-{options.threads}-{llama.VERSION}.json"
    if options.quick or options.search or not kept.exists():
        tell("searching the peer's best settings")
        settings = search.best(theirs, figures, options.quick, tell)
        if options.quick or load > BUSY:
            tell(
                "these settings are for this run only: they were not found by a full search on an idle machine"
            )
        else:
            kept.write_text(json.dumps(settings, indent=1))
    else:
        settings = json.loads(kept.read_text())

    rounds: dict[str, dict[str, list]] = {}
    for number in range(1, options.rounds + 1):
        for key, figure in figures.items():
            if key not in settings or (options.only and key not in options.only):
                continue
            pair = {"peer": theirs.measure(figure, settings[key]), "ours": ours.measure(figure)}
            for side, result in pair.items():
                rounds.setdefault(key, {"peer": [], "ours": []})[side].append(result)
            tell(
                f"round {number}: {figure.name}: llama.cpp {pair['peer'].rate:.1f}, Précis {pair['ours'].rate:.1f}"
            )
        if not options.only or "worker" in options.only:
            inside.measure(number)
    after = roofline(options.threads, options.isa)

    at = str(options.threads)
    mean_roofline = {name: (before[at][name] + after[at][name]) / 2 for name in before[at]}
    text = (
        table(figures, settings, rounds, Limits(mean_roofline), files["mean"], size) + inside.rows()
    )
    peaks = ", ".join(
        f"{name} {value:.0f} → {after[at][name]:.0f}" for name, value in before[at].items()
    )
    quick = " **A smoke run: no figures to quote.**" if options.quick else ""
    notes = (
        f"\n{host['cpu']}, {options.threads} threads, ISA {options.isa}, median of {options.rounds} rounds, llama.cpp {llama.VERSION}, load {load:.1f} at start.{quick}\n"
        f"Roofline before → after (GB/s, Gop/s): {peaks}.\n"
    )
    stamp = f"{datetime.datetime.now():%Y%m%d-%H%M%S}"
    record = {
        "machine": host,
        "options": {name: str(value) for name, value in vars(options).items()},
        "load": load,
        "settings": settings,
        "roofline": {"before": before, "after": after},
        "rounds": {
            key: {side: [asdict(result) for result in results] for side, results in sides.items()}
            for key, sides in rounds.items()
        },
        "worker": inside.record(),
    }
    (OUT / f"{stamp}.json").write_text(json.dumps(record, indent=1))
    (OUT / f"{stamp}.md").write_text(text + notes)
    print(text + notes)
    tell(f"kept in {OUT}/{stamp}.md and .json")


if __name__ == "__main__":
    main()
