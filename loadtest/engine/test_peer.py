"""The peer is built as its processor needs it, and says how it ended."""

import re
import subprocess

import engines
import peer
import pytest

AMX = ["-O2", "-mamx-tile", "-mamx-int8"]
# The last byte of a configuration comes from outside: it has to be stored before the configuration is loaded.
CODE = """
#include <immintrin.h>
struct config { unsigned char palette, start, reserved[14]; unsigned short columns[16]; unsigned char rows[16]; };
void configure(unsigned char rows) {
    struct config config = {0};
    config.palette = 1;
    config.rows[15] = rows;
    _tile_loadconfig(&config);
}
"""


def assembly(tmp_path, *options: str) -> str:
    code = tmp_path / "configure.cpp"
    code.write_text(CODE)
    done = subprocess.run(
        ["c++", *AMX, *options, "-S", code, "-o", "-"], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip("the C++ compiler has no AMX")
    return done.stdout


def stores_the_last_byte(text: str) -> bool:
    # The argument's register, the byte alone or with what surrounds it.
    return bool(re.search(r"%(dil|edi)\b", text[: text.index("ldtilecfg")]))


def test_all_of_a_tile_configuration_is_stored(tmp_path):
    assert stores_the_last_byte(assembly(tmp_path, "-include", str(peer.TILE_CONFIG)))


def test_the_header_is_asked_for_exactly_where_it_is_needed(tmp_path):
    """Where it changes nothing the compiler's own header is right, or there is no AMX."""
    right = stores_the_last_byte(assembly(tmp_path))
    assert peer.needs_tile_config(AMX) == (not right)
    assert not peer.needs_tile_config(["-O2"])


def test_the_header_reaches_the_build(monkeypatch, tmp_path):
    """The library's build gets it in both languages, in a folder of its own."""
    asked = []
    monkeypatch.setattr(peer, "HOME", tmp_path)
    monkeypatch.setattr(
        peer, "built", lambda build, target, product, options: asked.append((build.name, options))
    )
    for needed in (True, False):
        monkeypatch.setattr(peer, "needs_tile_config", lambda flags, needed=needed: needed)
        peer.library("native")
    (with_name, with_options), (without_name, without_options) = asked
    flags = f"-include {peer.TILE_CONFIG}"
    assert {f"-DCMAKE_C_FLAGS={flags}", f"-DCMAKE_CXX_FLAGS={flags}"} <= set(with_options)
    assert not any("-include" in option for option in without_options)
    assert with_name != without_name == "native"


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("kill -SEGV $$", r"signal 11 \(SIGSEGV\): nothing on stderr"),
        ("echo no model >&2; exit 3", "exit status 3: no model"),
    ],
)
def test_an_engine_that_fails_says_how_it_ended(script, expected):
    with pytest.raises(RuntimeError, match=expected):
        engines.answer(["sh", "-c", script])
