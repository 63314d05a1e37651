"""The roofline measures multipliers: its compiled loops have their operands in registers."""

import json
import shutil
import subprocess

import pytest
import roofline

SETS = {
    "avx2": (["-mavx2", "-mfma"], {"read_memory": 8, "fma_f32": 12, "dot_u8_s8": 9}),
    "avx512": (["-mavx512f"], {"read_memory": 8, "fma_f32": 24}),
    "vnni": (["-mavx512f", "-mavx512vnni"], {"read_memory": 8, "fma_f32": 24, "dot_u8_s8": 24}),
    "bf16": (
        ["-mavx512f", "-mavx512vnni", "-mavx512bf16", "-mavx512vl", "-mavx512bw"],
        {"read_memory": 8, "fma_f32": 24, "dot_u8_s8": 24, "dot_bf16": 24},
    ),
}

pytestmark = pytest.mark.skipif(
    not (shutil.which("cc") and shutil.which("objdump")), reason="needs a C compiler and objdump"
)


def compiled(tmp_path, code, flags) -> str:
    """The disassembly; the test is left out where the compiler has no such instructions."""
    probe = subprocess.run(
        ["cc", *flags, "-E", "-x", "c", "/dev/null", "-o", "/dev/null"], capture_output=True
    )
    if probe.returncode:
        pytest.skip(f"the C compiler has no {' '.join(flags)}")
    subprocess.run(
        ["cc", *roofline.OPTIONS, *flags, "-c", code, "-o", tmp_path / "roofline.o"], check=True
    )
    return roofline.disassembly(tmp_path / "roofline.o")


@pytest.mark.parametrize("name", SETS)
def test_every_loop_stays_in_registers(name, tmp_path):
    flags, expected = SETS[name]
    counts = roofline.check(compiled(tmp_path, roofline.CODE, flags))
    assert expected.items() <= counts.items()


def test_an_accumulator_on_the_stack_is_an_error(tmp_path):
    """What the roofline was: an array of accumulators, each opaque to the compiler, which gcc 12 keeps on the stack."""
    code = tmp_path / "spilled.c"
    code.write_text("""
        #include <immintrin.h>
        extern volatile float sink;
        __attribute__((noinline)) void fma_f32(long loops) {
            volatile __m256 a[12];
            __m256 x = _mm256_set1_ps(1.5f), y = _mm256_set1_ps(0.5f);
            for (int j = 0; j < 12; j++) a[j] = x;
            do {
        #pragma GCC unroll 12
                for (int j = 0; j < 12; j++) { __m256 b = a[j]; __asm__("vfmadd213ps %1, %2, %0" : "+x"(b) : "x"(x), "x"(y)); a[j] = b; }
            } while (--loops);
            sink = ((volatile float *)a)[0];
        }
    """)
    with pytest.raises(roofline.NotInRegisters, match="keeps operands in memory"):
        roofline.check(compiled(tmp_path, code, ["-mavx2", "-mfma"]))


def test_a_loop_of_few_products_is_an_error():
    text = "0000000000000000 <fma_f32>:\n   0:\tvfmadd213ps %ymm1,%ymm0,%ymm4\n   5:\tdec    %rax\n   8:\tjne    0 <fma_f32>\n"
    with pytest.raises(roofline.NotInRegisters, match="1 products a round"):
        roofline.check(text)


def test_a_function_without_a_loop_is_an_error():
    with pytest.raises(roofline.NotInRegisters, match="dot_bf16: no loop"):
        roofline.check("0000000000000000 <dot_bf16>:\n   0:\tret\n")


def test_the_roofline_builds_and_runs_here(tmp_path):
    """Compiled for this machine, looked at, and run: one JSON object with what the processor has."""
    short = tmp_path / "short.c"
    short.write_text(
        roofline.CODE.read_text()
        .replace("(size_t)1 << 30", "(size_t)1 << 24")
        .replace("10000000L", "1000L")
    )
    subprocess.run(
        ["cc", *roofline.OPTIONS, "-march=native", short, "-o", tmp_path / "short"], check=True
    )
    found = json.loads(
        subprocess.run([tmp_path / "short", "1"], capture_output=True, text=True, check=True).stdout
    )
    assert found["1"]["dram_gb"] > 0
    roofline.check(roofline.disassembly(tmp_path / "short"))
