"""The peer's best settings for each figure: weights × key-value format × flash attention × slots.

36 combinations are valid (llama.cpp quantises values only with flash attention). Decoding is tried with all of them: one process measures all numbers of
slots, and its prompt gives the prefill rate. What that predicts for whole documents chooses the few settings that are tried with documents.
"""

from engines import Figure, Peer

WEIGHTS = ("q4_1", "q4_0", "q8_0")
KV_AND_FLASH = (("f16", 1), ("f16", 0), ("q8_0", 1))
SLOTS = (1, 8, 16, 32)
SMOKE_SLOTS = (1, 4)
FINALISTS = 2
# Tokens in and out of a typical document.
DOCUMENT = (1340, 128)


def best(peer: Peer, figures: dict[str, Figure], quick: bool, tell) -> dict[str, dict]:
    """Settings by the figure's key."""
    weights = WEIGHTS[1:2] if quick else WEIGHTS
    combinations = [
        {"weights": name, "kv": kv, "flash": flash}
        for name in weights
        for kv, flash in KV_AND_FLASH[: 1 if quick else 3]
    ]
    decodes = {key: figure for key, figure in figures.items() if figure.kind == "decode"}
    contexts = sorted({figure.context for figure in decodes.values()})
    decode_rates, prefill_rates = {context: [] for context in contexts}, []
    for context in contexts:
        for settings in combinations:
            slots = ",".join(str(count) for count in (SMOKE_SLOTS if quick else SLOTS))
            prompts = next(iter(decodes.values())).prompts
            found = peer.decode(
                prompts, settings, slots=slots, context=context, new=4 if quick else 8
            )
            for run in found["decode"]:
                rate = run["output_tokens"] / run["wall_seconds"]
                decode_rates[context].append((rate, {**settings, "slots": run["slots"]}))
            if context == contexts[-1]:
                rate = found["prefill"]["input_tokens"] / found["prefill"]["wall_seconds"]
                prefill_rates.append((rate, {**settings, "slots": 1}))
            rates = ", ".join(
                f"{run['slots']}: {run['output_tokens'] / run['wall_seconds']:.0f}"
                for run in found["decode"]
            )
            tell(f"  decode at {context}, {settings}: {rates} tokens/s")

    chosen = {}
    for key, figure in decodes.items():
        # 32 sequences may be decoded in smaller batches, one after the other, where that is faster.
        allowed = [
            entry
            for entry in decode_rates[figure.context]
            if figure.batch > 1 or entry[1]["slots"] == 1
        ]
        chosen[key] = max(allowed, key=lambda entry: entry[0])[1]

    prefill = max(prefill_rates, key=lambda entry: entry[0])[1]
    tried = [
        {**prefill, **options}
        for options in (
            {"slots": 1},
            {"slots": 4},
            {"slots": 1, "ubatch": 1024},
            {"slots": 4, "unified": 1},
        )
    ]
    chosen["prefill"] = fastest(peer, figures["prefill"], tried[: 1 if quick else None], tell)

    def predicted(entry) -> float:
        rate, settings = entry
        same = next(
            found
            for found, other in prefill_rates
            if all(other[name] == settings[name] for name in ("weights", "kv", "flash"))
        )
        return DOCUMENT[0] / same + DOCUMENT[1] / rate

    finalists = [
        settings
        for _, settings in sorted(decode_rates[contexts[-1]], key=predicted)[
            : 1 if quick else FINALISTS
        ]
    ]
    # Not with one cache for all slots: every sequence then passes the others' tokens; 32 of them were not done after 236 seconds where
    # separate ones took 87.
    documents = fastest(peer, figures["search_documents"], finalists, tell)
    chosen["documents"] = chosen["natural"] = documents
    return chosen


def fastest(peer: Peer, figure: Figure, candidates: list[dict], tell) -> dict:
    if len(candidates) == 1:
        return candidates[0]
    rates = []
    for settings in candidates:
        rates.append(peer.measure(figure, settings).rate)
        tell(f"  {figure.kind}, {settings}: {rates[-1]:.1f}")
    return candidates[rates.index(max(rates))]
