"""Logits and greedy ids of Qwen2.5-Coder 0.5B by Hugging Face transformers, kept in qwen.json for the tests in `src/testing/qwen.rs`.

Weights, tokenizer and template are those of the GGUF file (Q4_K_M), read and dequantised by transformers' own reader of GGUF files, in
float32 on the CPU; nothing of this repository is used but texts. Run by hand, in the virtual environment of families.py with the package
`gguf` 0.19.0 added:

    python qwen.py qwen2.5-coder-0.5b-instruct-q4_k_m.gguf > qwen.json
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

DOCUMENTS = Path(__file__).resolve().parents[5] / "tests" / "documents"
TOP, ANSWER = 64, 48
SYSTEM = "You summarise documents. You only state what the document says."
CASES = [("developers-reference-duties.txt", 1400), ("fr-faq-redistribution.txt", 900)]
AFTER = "\n\nSummarise the document above in 3 sentences."


def case(model, tokenizer, name: str, letters: int) -> dict:
    user = (DOCUMENTS / name).read_text()[:letters] + AFTER
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": user}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    prompt = tokenizer(text, add_special_tokens=False).input_ids
    with torch.no_grad():
        out = model(torch.tensor([prompt]), use_cache=True)
        rows = []
        for position in (0, len(prompt) // 2, len(prompt) - 1):
            logits = out.logits[0, position].double()
            best = torch.topk(logits, TOP)
            rows.append(
                {
                    "position": position,
                    "ids": best.indices.tolist(),
                    "logits": [round(x, 4) for x in best.values.tolist()],
                    "logsumexp": round(float(torch.logsumexp(logits, 0)), 5),
                }
            )
        answer, margins, cache, last = [], [], out.past_key_values, out.logits[0, -1]
        for _ in range(ANSWER):
            best = torch.topk(last, 2)
            answer.append(int(best.indices[0]))
            margins.append(round(float(best.values[0] - best.values[1]), 4))
            out = model(torch.tensor([answer[-1:]]), past_key_values=cache, use_cache=True)
            cache, last = out.past_key_values, out.logits[0, -1]
    print(tokenizer.decode(answer), file=sys.stderr)
    return {
        "name": name,
        "user": user,
        "prompt": prompt,
        "rows": rows,
        "answer": answer,
        "margins": margins,
    }


def main() -> None:
    path = Path(sys.argv[1])
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    model = AutoModelForCausalLM.from_pretrained(
        path.parent, gguf_file=path.name, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    origin = {name: version(name) for name in ("torch", "transformers")}
    rows = ",\n".join(json.dumps(case(model, tokenizer, *about)) for about in CASES)
    print(
        f'{{"origin": {json.dumps(origin)}, "system": {json.dumps(SYSTEM)}, "cases": [\n{rows}\n]}}'
    )


if __name__ == "__main__":
    main()
