"""Golden ids of other rules for words, kept in vocabularies.json for `src/text/gguf_bpe/tests.rs`.

llama.cpp's sources carry vocabularies with golden ids of some fifty texts (`models/ggml-vocab-*.gguf` with `.inp` and `.out`, made by its
maintainers with Hugging Face's tokenizers; MIT licence). For each rule that we know this keeps those texts, and those of tokens.py with
llama.cpp's ids, and of the vocabulary only what can matter to them: a token that is no part of any of the texts can never come up while they
are merged, so leaving it out changes nothing. Ids are renumbered.

Run by hand, on the sources of llama.cpp b11434:

    python vocabularies.py LLAMA_CPP_SOURCES LLAMA_REFERENCE > vocabularies.json
"""

import json
import sys
from pathlib import Path

from gguf import GGUFReader
from reference import byte_letters
from tokens import TEXTS, llama_cpp

RULES = {"gpt-2": "gpt-2", "llama-bpe": "llama-bpe"}
SEPARATOR = "\n__ggml_vocab_test__\n"


def reduced(pre: str, path: Path, program: str) -> dict:
    reader = GGUFReader(path)
    assert reader.get_field("tokenizer.ggml.pre").contents() == pre
    tokens = reader.get_field("tokenizer.ggml.tokens").contents()
    merges = reader.get_field("tokenizer.ggml.merges").contents()
    texts = Path(f"{path}.inp").read_bytes().decode("utf-8").split(SEPARATOR)
    # The last line ends with a line break of the file, which is no part of the text.
    lines = Path(f"{path}.out").read_text(encoding="utf-8").split("\n")[: len(texts)]
    kept_ids = [[int(id) for id in line.split()] for line in lines]
    differs = [
        text
        for text, ids, theirs in zip(texts, kept_ids, llama_cpp(program, str(path), texts))
        if ids != theirs
    ]
    assert not differs, differs
    texts, all_ids = texts + TEXTS, kept_ids + llama_cpp(program, str(path), TEXTS)

    letters = byte_letters()
    corpus = "\n".join("".join(letters[byte] for byte in text.encode("utf-8")) for text in texts)
    used = {id for ids in all_ids for id in ids}
    keep = [
        id for id, token in enumerate(tokens) if len(token) == 1 or token in corpus or id in used
    ]
    number = {id: i for i, id in enumerate(keep)}
    names = {tokens[id] for id in keep}
    fit = [
        merge
        for merge in merges
        if merge.replace(" ", "", 1) in names and all(part in names for part in merge.split(" "))
    ]
    return {
        "pre": pre,
        "tokens": [tokens[id] for id in keep],
        "merges": fit,
        "texts": texts,
        "ids": [[number[id] for id in ids] for ids in all_ids],
    }


def main() -> None:
    models = Path(sys.argv[1]) / "models"
    rules = [
        reduced(pre, models / f"ggml-vocab-{name}.gguf", sys.argv[2]) for pre, name in RULES.items()
    ]
    texts = [rule.pop("texts") for rule in rules]
    assert all(other == texts[0] for other in texts), "the texts of all rules are the same"
    lines = ",\n".join(json.dumps(rule) for rule in rules)
    print(
        f'{{"origin": "llama.cpp b11434, models/ggml-vocab-*, MIT", "texts": {json.dumps(texts[0])}, "rules": [\n{lines}\n]}}'
    )


if __name__ == "__main__":
    main()
