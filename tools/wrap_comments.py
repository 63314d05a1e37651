"""Wraps the comments of Rust sources at 100 columns, which rustfmt does on nightly compilers alone.

    python3 tools/wrap_comments.py            rewrites what is too wide
    python3 tools/wrap_comments.py --check    names the files with a comment that is too wide; exit code 1

A paragraph is touched only where one of its lines is too wide. Code fences, tables, headings, pictures of
boxes and indented blocks stay as they are.
"""

import argparse
import re
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 100
COMMENT = re.compile(r"^(\s*)(//[/!]?)( ?)(.*)$")
ITEM = re.compile(r"(?:[-*+]|\d+\.)\s+")
PICTURE = re.compile(r"[─│┌└▶◀▲▼├┬┴┤]")
# Blanks outside of `code`.
BLANK = re.compile(r" (?=(?:[^`]*`[^`]*`)*[^`]*$)")


def stays(line: str) -> bool:
    """Whether a line is no prose."""
    return (
        not line.strip()
        or line.lstrip().startswith(("|", "#", "```"))
        or line.startswith("    ")
        or bool(PICTURE.search(line))
    )


def paragraph(lines: list[str], start: int) -> tuple[list[str], str, str]:
    """The paragraph or list item at `start`, what its first line begins with, and its other lines."""
    lead = re.match(r"\s*", lines[start]).group()
    item = ITEM.match(lines[start][len(lead) :])
    first = lead + (item.group() if item else "")
    rest = " " * len(first)
    taken = [lines[start]]
    for line in lines[start + 1 :]:
        own = re.match(r"\s*", line).group()
        if stays(line) or ITEM.match(line[len(own) :]) or (item and len(own) < len(rest)):
            break
        taken.append(line)
    return taken, first, rest


def wrapped(prefix: str, lines: list[str]) -> list[str]:
    """One comment's lines, without their marks, with what is too wide wrapped."""
    out: list[str] = []
    fence = False
    at = 0
    while at < len(lines):
        if fence or stays(lines[at]):
            fence ^= lines[at].strip().startswith("```")
            out.append(lines[at])
            at += 1
            continue
        taken, first, rest = paragraph(lines, at)
        at += len(taken)
        if all(len(prefix + line) <= WIDTH for line in taken):
            out += taken
            continue
        text = " ".join(line.strip() for line in taken).removeprefix(first.strip()).strip()
        glued = " ".join(word.replace(" ", "\0") for word in BLANK.split(text))
        filled = textwrap.wrap(
            glued,
            WIDTH - len(prefix),
            initial_indent=first,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        )
        out += [line.replace("\0", " ") for line in filled]
    return [(prefix + line).rstrip() for line in out]


def rewritten(source: str) -> str:
    lines = source.split("\n")
    out: list[str] = []
    at = 0
    while at < len(lines):
        found = COMMENT.match(lines[at])
        if not found:
            out.append(lines[at])
            at += 1
            continue
        indent, mark = found.group(1), found.group(2)
        block = []
        while (
            at < len(lines)
            and (same := COMMENT.match(lines[at]))
            and same.group(1, 2) == (indent, mark)
        ):
            block.append(same.group(4))
            at += 1
        out += wrapped(f"{indent}{mark} ", block)
    return "\n".join(out)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing")
    arguments = parser.parse_args()
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.rs"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    wide = []
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if not path.exists():
            continue
        source = path.read_text(encoding="utf-8")
        if (new := rewritten(source)) != source:
            wide.append(name)
            if not arguments.check:
                path.write_text(new, encoding="utf-8")
    for name in wide:
        print(
            f"{name}: {'has a comment' if arguments.check else 'wrapped comments'} wider than {WIDTH} columns",
            file=sys.stderr,
        )
    return 1 if arguments.check and wide else 0


if __name__ == "__main__":
    sys.exit(main())
