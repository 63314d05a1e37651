"""Adapters for tests: random numbers, as the Python library PEFT saves them, for the default model's queries and values."""

import json
import random
import struct
import sys
from array import array
from pathlib import Path

# The default model's shape.
LAYERS = 30
WIDTH = 576
OUTPUTS = {"q_proj": 576, "v_proj": 192}
RANK = 4
# Large enough to change what the model writes, and small enough that it goes on writing words.
LARGEST = 0.05


def write(folder: Path, seed: int, width: int = WIDTH) -> Path:
    """Writes an adapter whose numbers follow from the seed. Another `width` fits no default model."""
    numbers = random.Random(seed)
    tensors = {}
    for layer in range(LAYERS):
        for projection, outputs in OUTPUTS.items():
            module = f"base_model.model.model.layers.{layer}.self_attn.{projection}"
            tensors[f"{module}.lora_A.weight"] = matrix(numbers, RANK, width)
            tensors[f"{module}.lora_B.weight"] = matrix(numbers, outputs, RANK)
    folder.mkdir(parents=True)
    (folder / "adapter_model.safetensors").write_bytes(safetensors(tensors))
    config = {
        "peft_type": "LORA",
        "r": RANK,
        "lora_alpha": 2 * RANK,
        "bias": "none",
        "target_modules": sorted(OUTPUTS),
        "task_type": "CAUSAL_LM",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def matrix(numbers: random.Random, rows: int, columns: int) -> tuple[list[int], bytes]:
    """Shape and numbers, f32 in little-endian order."""
    values = array("f", (numbers.uniform(-LARGEST, LARGEST) for _ in range(rows * columns)))
    if sys.byteorder == "big":
        values.byteswap()
    return [rows, columns], values.tobytes()


def safetensors(tensors: dict[str, tuple[list[int], bytes]]) -> bytes:
    """The bytes of a file: length of the header, header, data (https://github.com/huggingface/safetensors#format)."""
    header, data = {}, bytearray()
    for name, (shape, values) in tensors.items():
        begin = len(data)
        data += values
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [begin, len(data)]}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(data)
