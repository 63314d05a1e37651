"""What the machine allows at most, from its roofline and the arithmetic of SmolLM2-135M-Instruct.

Weights stream from memory once a step and are multiplied as 8-bit dot products; keys and values stream once a token and sequence and are
multiplied as bf16. Each of the two is as slow as the slower of its bytes and its operations, and one comes after the other.
"""

# 30 layers, width 576, 3 key-value heads of 64; linears Q4_1, embedding and head Q8_0.
LAYERS, WIDTH, KV_WIDTH = 30, 576, 192
LINEAR_BYTES, HEAD_BYTES = 66.5e6, 30.1e6
LINEAR_OPS, HEAD_OPS = 0.212e9, 0.057e9
# Keys and values of a token in 16 bits, which is what llama.cpp's default holds too.
KV_BYTES = LAYERS * 2 * KV_WIDTH * 2


def attention_ops(keys: float) -> float:
    """Operations of one query token over so many keys: scores and sums, all layers."""
    return 4 * keys * WIDTH * LAYERS


class Limits:
    def __init__(self, roofline: dict):
        self.bytes = roofline["dram_gb"] * 1e9
        # Where the CPU lacks a format, the next one does the work.
        self.f32 = roofline.get("f32_gop", 1) * 1e9
        self.dot8 = roofline.get("dot8_gop", 0) * 1e9 or self.f32
        self.bf16 = roofline.get("bf16_gop", 0) * 1e9 or self.f32

    def prefill(self, length: int) -> float:
        """Tokens a second over a prompt of this length."""
        return 1 / (LINEAR_OPS / self.dot8 + attention_ops(length / 2) / self.bf16)

    def decode(self, batch: int, context: float) -> float:
        """Tokens a second of a batch at this context."""
        linears = max(
            (LINEAR_BYTES + HEAD_BYTES) / self.bytes, batch * (LINEAR_OPS + HEAD_OPS) / self.dot8
        )
        attention = batch * max(context * KV_BYTES / self.bytes, attention_ops(context) / self.bf16)
        return batch / (linears + attention)

    def documents(self, length: float, new_tokens: float, batch: int) -> float:
        """Documents a minute."""
        return 60 / (
            length / self.prefill(length) + new_tokens / self.decode(batch, length + new_tokens / 2)
        )
