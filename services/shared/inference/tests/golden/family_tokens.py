"""Golden ids of the tokenizers of other families, kept in family_tokens.json for `src/text/gguf_bpe/tests/golden.rs`.

llama.cpp's sources carry vocabularies (`models/ggml-vocab-*.gguf`, made by its maintainers; MIT licence) with golden ids of some fifty
texts. Here ids are made anew from these vocabularies: by SentencePiece's own library for those of its kind, by Hugging Face's tokenizers
for byte-level BPE. They must be llama.cpp's for its texts. Of each vocabulary only what can matter to the texts is kept: a token that is
no part of any of them can never come up while they are merged. Ids are renumbered.

Run by hand, in a virtual environment with sentencepiece 0.2.3, tokenizers 0.22.2 and numpy, on the sources of llama.cpp b11434:

    python family_tokens.py LLAMA_CPP_SOURCES > family_tokens.json
"""

import json
import sys
from pathlib import Path

from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

sys.path.insert(0, str(Path(sys.argv[1]) / "gguf-py"))
from gguf import GGUFReader
from tokens import TEXTS

SEPARATOR = "\n__ggml_vocab_test__\n"
NORMAL, BYTE = 1, 6
# From the tokenizer.json of Qwen2's release.
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def byte_letters() -> list[str]:
    prints = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = iter(range(0x100, 0x200))
    return [chr(byte) if byte in prints else chr(next(hidden)) for byte in range(256)]


def sentencepiece(tokens: list, scores: list, types: list):
    """SentencePiece's library with this vocabulary."""
    proto = sentencepiece_model_pb2.ModelProto()
    proto.trainer_spec.model_type = sentencepiece_model_pb2.TrainerSpec.BPE
    proto.trainer_spec.byte_fallback = True
    proto.normalizer_spec.name = "identity"
    proto.normalizer_spec.add_dummy_prefix = True
    proto.normalizer_spec.remove_extra_whitespaces = False
    proto.normalizer_spec.escape_whitespaces = True
    # Types have the same numbers there; the first token is the unknown one, and added ones are control tokens.
    for id, (token, score, kind) in enumerate(zip(tokens, scores, types)):
        kind = 2 if id == 0 else 3 if kind not in (NORMAL, BYTE) else kind
        proto.pieces.add(piece=token, score=score, type=kind)
    library = SentencePieceProcessor(model_proto=proto.SerializeToString())
    return lambda text: library.encode(text)


def byte_pairs(tokens: list, merges: list):
    model = models.BPE(
        {token: id for id, token in enumerate(tokens)},
        [tuple(merge.split(" ")) for merge in merges],
    )
    library = Tokenizer(model)
    library.normalizer = normalizers.NFC()
    words = pre_tokenizers.Split(Regex(QWEN2), "isolated")
    library.pre_tokenizer = pre_tokenizers.Sequence(
        [words, pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    return lambda text: library.encode(text, add_special_tokens=False).ids


def reduced(name: str, models_folder: Path) -> dict:
    path = models_folder / f"ggml-vocab-{name}.gguf"
    reader = GGUFReader(path)
    read = lambda key: reader.get_field(f"tokenizer.ggml.{key}").contents()
    tokens, types = read("tokens"), read("token_type")
    theirs = Path(f"{path}.inp").read_bytes().decode("utf-8").split(SEPARATOR)
    lines = Path(f"{path}.out").read_text(encoding="utf-8").split("\n")[: len(theirs)]
    kind = read("model")
    encode = (
        sentencepiece(tokens, read("scores"), types)
        if kind == "llama"
        else byte_pairs(tokens, read("merges"))
    )
    for text, line in zip(theirs, lines):
        assert encode(text) == [int(id) for id in line.split()], (name, text)
    texts = theirs + TEXTS
    ids = [encode(text) for text in texts]
    if kind == "llama":
        corpus = "\n".join(("\u2581" + text).replace(" ", "\u2581") for text in texts)
        keep = [
            id
            for id, token in enumerate(tokens)
            if types[id] != NORMAL and types[id] != 2 or id == 0 or token in corpus
        ]
    else:
        letters = byte_letters()
        spelled = lambda text: "".join(letters[byte] for byte in text.encode("utf-8"))
        corpus = "\n".join(spelled(normalizers.NFC().normalize_str(text)) for text in texts)
        keep = [
            id
            for id, token in enumerate(tokens)
            if types[id] == NORMAL and (len(token) == 1 or token in corpus)
        ]
    number = {id: at for at, id in enumerate(keep)}
    found = {
        "name": name,
        "architecture": reader.get_field("general.architecture").contents(),
        "model": kind,
        "pre": read("pre"),
        "tokens": [tokens[id] for id in keep],
        "types": [int(types[id]) for id in keep],
        "texts": texts,
        "ids": [[number[id] for id in row] for row in ids],
    }
    if kind == "llama":
        scores = read("scores")
        return found | {"scores": [float(scores[id]) for id in keep]}
    names = {tokens[id] for id in keep}
    fit = [
        m
        for m in read("merges")
        if m.replace(" ", "", 1) in names and all(part in names for part in m.split(" "))
    ]
    return found | {"merges": fit}


def main() -> None:
    sources = Path(sys.argv[1])
    rows = ",\n".join(
        json.dumps(reduced(name, sources / "models")) for name in ("llama-spm", "phi-3", "qwen2")
    )
    print(f'{{"origin": "vocabularies of llama.cpp b11434, MIT", "rules": [\n{rows}\n]}}')


if __name__ == "__main__":
    main()
