"""A second implementation of tokenizer and model, to make logits.json and, with others, the ids of tokens.py.

It shares no code with the crate: GGUF, dequantisation, byte-level BPE, chat template and the Llama forward pass are written out
here from their specifications, in float64; it agrees with Hugging Face transformers (hf.json) to 1e-4 a logit. Needs Python 3 with numpy and regex:

    python3 reference.py MODEL.gguf > logits.json
"""

import json
import struct
import sys

import numpy as np
import regex

GPT2_WORDS = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"""
SCALARS = {
    0: "B",
    1: "b",
    2: "H",
    3: "h",
    4: "I",
    5: "i",
    6: "f",
    7: "?",
    10: "Q",
    11: "q",
    12: "d",
}


class Gguf:
    def __init__(self, path):
        self.data = open(path, "rb").read()
        self.at = 4
        assert self.data[:4] == b"GGUF" and self.scalar("I") == 3
        tensors, values = self.scalar("Q"), self.scalar("Q")
        self.metadata = {}
        for _ in range(values):
            key = self.string()
            self.metadata[key] = self.value(self.scalar("I"))
        self.tensors = {}
        for _ in range(tensors):
            name = self.string()
            shape = [self.scalar("Q") for _ in range(self.scalar("I"))]
            kind, offset = self.scalar("I"), self.scalar("Q")
            self.tensors[name] = (shape[::-1], kind, offset)
        align = self.metadata.get("general.alignment", 32)
        self.base = -(-self.at // align) * align

    def scalar(self, code):
        size = struct.calcsize("<" + code)
        self.at += size
        return struct.unpack_from("<" + code, self.data, self.at - size)[0]

    def string(self):
        size = self.scalar("Q")
        self.at += size
        return self.data[self.at - size : self.at].decode("utf-8")

    def value(self, kind):
        if kind == 8:
            return self.string()
        if kind == 9:
            inner, count = self.scalar("I"), self.scalar("Q")
            return [self.value(inner) for _ in range(count)]
        return self.scalar(SCALARS[kind])

    def tensor(self, name):
        shape, kind, offset = self.tensors[name]
        count, start = int(np.prod(shape)), self.base + offset
        if kind == 0:
            values = np.frombuffer(self.data, "<f4", count, start).astype(np.float64)
        elif kind == 3:  # Q4_1: f16 scale, f16 minimum, 32 nibbles
            block = np.dtype([("d", "<f2"), ("m", "<f2"), ("q", "u1", 16)])
            b = np.frombuffer(self.data, block, count // 32, start)
            q = np.concatenate([b["q"] & 15, b["q"] >> 4], axis=1).astype(np.float64)
            values = q * b["d"].astype(np.float64)[:, None] + b["m"].astype(np.float64)[:, None]
        elif kind == 8:  # Q8_0: f16 scale, 32 signed bytes
            block = np.dtype([("d", "<f2"), ("q", "i1", 32)])
            b = np.frombuffer(self.data, block, count // 32, start)
            values = b["q"].astype(np.float64) * b["d"].astype(np.float64)[:, None]
        else:
            raise ValueError(f"{name}: type {kind}")
        return values.reshape(shape)


def byte_letters():
    """How vocabularies of byte-level BPE write each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in printable]
    return {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(hidden)}


class Tokenizer:
    def __init__(self, metadata):
        assert metadata["tokenizer.ggml.pre"] == "smollm"
        self.ids = {token: i for i, token in enumerate(metadata["tokenizer.ggml.tokens"])}
        self.special = [
            t
            for t, kind in zip(
                metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
            )
            if kind in (3, 4)
        ]
        self.ranks = {
            tuple(merge.split(" ")): rank
            for rank, merge in enumerate(metadata["tokenizer.ggml.merges"])
        }
        self.letters = byte_letters()

    def text(self, text):
        """Ids of text in which nothing is special."""
        ids = []
        # Digits apart first, then GPT-2's words in what lies between.
        for part in regex.findall(r"\p{N}|\P{N}+", text):
            for word in regex.findall(GPT2_WORDS, part):
                # Bytes that the vocabulary lacks are dropped before merging, as Hugging Face does without an unknown token.
                letters = [
                    self.letters[b] for b in word.encode("utf-8") if self.letters[b] in self.ids
                ]
                ids += [self.ids[piece] for piece in self.merge(letters)]
        return ids

    def merge(self, pieces):
        while len(pieces) > 1:
            rank, at = min(
                (self.ranks.get(pair, 1 << 30), i) for i, pair in enumerate(zip(pieces, pieces[1:]))
            )
            if rank == 1 << 30:
                break
            # All places of the best pair, from the left, as GPT-2's encoder does.
            pair, merged, i = (pieces[at], pieces[at + 1]), [], 0
            while i < len(pieces):
                if tuple(pieces[i : i + 2]) == pair:
                    merged.append(pieces[i] + pieces[i + 1])
                    i += 2
                else:
                    merged.append(pieces[i])
                    i += 1
            pieces = merged
        return pieces

    def prompt(self, system, user):
        """ChatML, with the texts of system and user apart from its own tokens."""
        start, end, line = self.ids["<|im_start|>"], self.ids["<|im_end|>"], self.text("\n")
        ids = []
        for role, content in (("system", system), ("user", user)):
            ids += [start] + self.text(role + "\n" + content) + [end] + line
        return ids + [start] + self.text("assistant\n")


class Model:
    def __init__(self, gguf, precision=np.float64):
        read = lambda key: gguf.metadata["llama." + key]
        self.layers, self.heads, self.kv = (
            read("block_count"),
            read("attention.head_count"),
            read("attention.head_count_kv"),
        )
        self.eps, self.base = read("attention.layer_norm_rms_epsilon"), read("rope.freq_base")
        tensor = lambda name: gguf.tensor(name).astype(precision)
        self.embedding, self.norm, self.precision = (
            tensor("token_embd.weight"),
            tensor("output_norm.weight"),
            precision,
        )
        names = (
            "attn_norm",
            "attn_q",
            "attn_k",
            "attn_v",
            "attn_output",
            "ffn_norm",
            "ffn_gate",
            "ffn_up",
            "ffn_down",
        )
        self.blocks = [
            {n: tensor(f"blk.{i}.{n}.weight") for n in names} for i in range(self.layers)
        ]
        self.dim = self.embedding.shape[1] // self.heads
        self.reset()

    def reset(self):
        self.cache, self.position = [(None, None)] * self.layers, 0

    def rms(self, x, gain):
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + self.eps) * gain

    def rope(self, x):
        """Neighbouring pairs turned, as GGUF lays out the llama architecture. x: [tokens, heads, dim]"""
        positions = np.arange(self.position, self.position + x.shape[0])
        angle = positions[:, None] * self.base ** (-np.arange(0, self.dim, 2) / self.dim)
        cos, sin = (
            np.cos(angle)[:, None].astype(self.precision),
            np.sin(angle)[:, None].astype(self.precision),
        )
        out = np.empty_like(x)
        out[..., ::2] = x[..., ::2] * cos - x[..., 1::2] * sin
        out[..., 1::2] = x[..., ::2] * sin + x[..., 1::2] * cos
        return out

    def forward(self, ids, rows=-1):
        """Logits after the last id, or after those that `rows` names."""
        x, count = self.embedding[ids], len(ids)
        for i, w in enumerate(self.blocks):
            h = self.rms(x, w["attn_norm"])
            q = self.rope((h @ w["attn_q"].T).reshape(count, self.heads, self.dim))
            k = self.rope((h @ w["attn_k"].T).reshape(count, self.kv, self.dim))
            v = (h @ w["attn_v"].T).reshape(count, self.kv, self.dim)
            if self.cache[i][0] is not None:
                k, v = np.concatenate([self.cache[i][0], k]), np.concatenate([self.cache[i][1], v])
            self.cache[i] = (k, v)
            seen = (
                np.arange(len(k))[None, :]
                <= np.arange(self.position, self.position + count)[:, None]
            )
            heads = []
            for head in range(self.heads):
                kv = head * self.kv // self.heads
                scores = q[:, head] @ k[:, kv].T / self.precision(np.sqrt(self.dim))
                scores = np.where(seen, scores, -np.inf)
                p = np.exp(scores - scores.max(-1, keepdims=True))
                heads.append(p / p.sum(-1, keepdims=True) @ v[:, kv])
            x = x + np.concatenate(heads, -1) @ w["attn_output"].T
            h = self.rms(x, w["ffn_norm"])
            gate = h @ w["ffn_gate"].T
            x = x + (gate / (1 + np.exp(-gate)) * (h @ w["ffn_up"].T)) @ w["ffn_down"].T
        self.position += count
        return self.rms(x[rows], self.norm) @ self.embedding.T


def main():
    from tokens import PROMPTS

    gguf = Gguf(sys.argv[1])
    tokenizer = Tokenizer(gguf.metadata)
    model, cases = Model(gguf), []
    for system, user in PROMPTS[:3]:
        model.reset()
        ids = tokenizer.prompt(system, user)
        logits, answer, first = model.forward(ids), [], None
        while len(answer) < 24:
            if first is None:
                top = np.argsort(-logits)[:8]
                log_sum = np.log(np.exp(logits - logits.max()).sum()) + logits.max()
                first = {
                    "ids": top.tolist(),
                    "logits": [round(float(v), 5) for v in logits[top]],
                    "logprob": round(float(logits[top[0]] - log_sum), 6),
                }
            answer.append(int(logits.argmax()))
            if answer[-1] in (0, 2):
                break
            logits = model.forward(answer[-1:])
        cases.append(
            {
                "system": system,
                "user": user,
                "prompt_tokens": len(ids),
                "first": first,
                "answer": answer,
            }
        )
    json.dump({"cases": cases}, sys.stdout, ensure_ascii=True, indent=1)


if __name__ == "__main__":
    main()
