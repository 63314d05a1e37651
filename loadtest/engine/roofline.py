"""Builds the roofline and holds its loops against what they must be: products of registers, nothing from the stack.

A compiler that keeps an accumulator in memory makes the roofline measure loads and stores, and every share "of the limit" too high. So the
compiled program is disassembled, and a loop with an operand in memory that does not belong there is an error.
"""

import re
import subprocess
from pathlib import Path

import fetch

CODE = Path(__file__).resolve().parent / "roofline.c"
OPTIONS = ["-O2", "-pthread"]
# The instruction that each loop is made of; one of these, by the instruction set.
PRODUCTS = {
    "read_memory": ("vaddps",),
    "fma_f32": ("vfmadd213ps",),
    "dot_u8_s8": ("vpdpbusd", "vpmaddubsw"),
    "dot_bf16": ("vdpbf16ps",),
}
# Fewer products in a round cannot keep two multipliers busy.
LEAST = 8

FUNCTION = re.compile(r"^([0-9a-f]+) <([\w.]+)>:$")
INSTRUCTION = re.compile(r"^\s*([0-9a-f]+):\s+(?:\{\w+\} )?(\w+)\s*(.*)$")


class NotInRegisters(Exception):
    """A loop of the roofline does not measure what it is to measure."""


def program(folder: Path, isa: str, flags: list[str]) -> Path:
    """The roofline compiled for an instruction set, once its loops were looked at."""
    target = folder / f"roofline-{isa}-{fetch.digest(CODE)[:12]}"
    if not target.exists():
        partial = target.with_suffix(".part")
        subprocess.run(["cc", *OPTIONS, *flags, CODE, "-o", partial], check=True)
        check(disassembly(partial))
        partial.rename(target)
    return target


def disassembly(binary: Path) -> str:
    return subprocess.run(
        ["objdump", "--disassemble", "--no-show-raw-insn", binary],
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def loops(text: str) -> dict[str, list[tuple[str, str]]]:
    """The instructions and operands of the innermost loop of each of the measured functions."""
    found, name, body = {}, None, []
    for line in text.splitlines():
        if function := FUNCTION.match(line):
            # A compiler may give a function that it changed a name with an ending: `fma_f32.constprop.0`.
            name, body = function[2].partition(".")[0], []
        elif name in PRODUCTS and (instruction := INSTRUCTION.match(line)):
            at, mnemonic, operands = int(instruction[1], 16), instruction[2], instruction[3]
            body.append((at, mnemonic, operands))
            target = re.match(r"(?:0x)?([0-9a-f]+)\b", operands)
            if mnemonic in ("jne", "jnz") and target and body[0][0] <= int(target[1], 16) < at:
                found[name] = [
                    (what, with_) for where, what, with_ in body if where >= int(target[1], 16)
                ]
    return found


def check(text: str) -> dict[str, int]:
    """How many products a round of each loop has; raises where one is not in registers."""
    counts = {}
    found = loops(text)
    functions = {
        function[2].partition(".")[0]
        for function in map(FUNCTION.match, text.splitlines())
        if function
    }
    # Memory is read by plain C too, where there are no vectors.
    if lost := functions & PRODUCTS.keys() - {"read_memory"} - found.keys():
        raise NotInRegisters(f"{', '.join(sorted(lost))}: no loop found in the compiled code")
    for name, loop in found.items():
        products = [operands for mnemonic, operands in loop if mnemonic in PRODUCTS[name]]
        counts[name] = len(products)
        if len(products) < LEAST:
            raise NotInRegisters(
                f"{name}: {len(products)} products a round in the compiled loop, at least {LEAST} expected"
            )
        for mnemonic, operands in loop:
            reads = name == "read_memory" and mnemonic in PRODUCTS[name]
            if re.search(r"\(%[re][sb]p\b", operands) or ("(" in operands and not reads):
                raise NotInRegisters(
                    f"{name}: `{mnemonic} {operands}` in the compiled loop: the compiler keeps operands in memory"
                )
    return counts
