#!/usr/bin/env python3
"""Makes tests/documents/ and tests/DOCUMENTS.md again from the packages the documents come from.

Run by hand, on Debian 12, when the selection changes: `python3 tests/harness/documents.py`.
It downloads pinned versions with pip and apt-get into a temporary folder and needs only the
standard library. What it makes is committed, so that neither the demo nor a test ever needs the
network for its documents. Nothing but documents lies in tests/documents: the demo summarises all of it.
"""

import gzip
import io
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from html.parser import HTMLParser
from pathlib import Path

from document_sources import ACLSUM, ACLSUM_SHA256, PAGES, PAPERS

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests" / "documents"


class Extract(HTMLParser):
    """The body text of a manual's page: headings, paragraphs, list items and listings; no navigation."""

    SKIP_TAGS = {"head", "script", "style", "nav"}
    SKIP_CLASSES = {
        "navheader",
        "navfooter",
        "docnav",
        "toc",
        "related",
        "sphinxsidebar",
        "footer",
        "headerlink",
    }
    SKIP_IDS = {"banner", "title"}
    VOID = {"br", "hr", "img", "meta", "link", "input", "col"}
    BLOCKS = {
        "p",
        "div",
        "li",
        "dt",
        "dd",
        "tr",
        "table",
        "ul",
        "ol",
        "dl",
        "section",
        "pre",
        "hr",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
    }

    def __init__(self, markdown: bool):
        super().__init__(convert_charrefs=True)
        self.markdown, self.stack, self.skipping = markdown, [], 0
        self.blocks, self.text, self.prefix = [], "", ""

    def flush(self):
        text = " ".join(self.text.split()) if "pre" not in self.stack else self.text.strip("\n")
        if text:
            self.blocks.append(self.prefix + text)
            self.prefix = ""
        self.text = ""

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        classes = set((attrs.get("class") or "").split())
        skip = (
            tag in self.SKIP_TAGS or classes & self.SKIP_CLASSES or attrs.get("id") in self.SKIP_IDS
        )
        if tag in self.BLOCKS:
            self.flush()
            if tag[0] == "h" and tag[1:].isdigit():
                self.prefix = "#" * int(tag[1]) + " " if self.markdown else ""
            elif tag == "li":
                self.prefix = "- "
        if tag in self.VOID:
            self.text += "\n" if tag == "br" else ""
            return
        if tag == "code" and self.markdown and not self.skipping and "pre" not in self.stack:
            self.text += "`"
        self.stack.append(tag)
        if skip or self.skipping:
            self.skipping += 1

    def handle_endtag(self, tag):
        if tag not in self.stack:
            return
        if tag in self.BLOCKS:
            self.flush()
        if tag == "code" and self.markdown and not self.skipping and "pre" not in self.stack:
            self.text += "`"
        while self.stack:
            popped = self.stack.pop()
            if self.skipping:
                self.skipping -= 1
            if popped == tag:
                break

    def handle_data(self, data):
        if not self.skipping:
            self.text += data


def extract(html: str, markdown: bool) -> str:
    parser = Extract(markdown)
    parser.feed(html)
    parser.flush()
    return "\n\n".join(parser.blocks) + "\n"


def sentence(tokens: str) -> str:
    """Undoes the tokenisation of the data set: no space before a comma, none inside brackets."""
    text = re.sub(r"\s+([,.;:?!%)\]])", r"\1", tokens)
    text = re.sub(r"([(\[])\s+", r"\1", text)
    text = re.sub(r"\s+('s|'re|'ve|'ll|n't)\b", r"\1", text)
    text = re.sub(r'" ([^"]+) "', r'"\1"', text)
    return text.replace("can not", "cannot").replace(" - ", "-").strip()


def paper(record: dict) -> str:
    parts = [record["title"].strip(" *")]
    for section, sentences in record["sentences"].items():
        parts.append(section.capitalize())
        cleaned = [sentence(s) for s in sentences]
        parts += [" ".join(cleaned[i : i + 6]) for i in range(0, len(cleaned), 6)]
    return "\n\n".join(p for p in parts if p) + "\n"


def papers(work: Path) -> list[tuple]:
    wanted = work / "requirements.txt"
    wanted.write_text(f"aclsum=={ACLSUM} --hash=sha256:{ACLSUM_SHA256}\n", encoding="utf-8")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--require-hashes",
            "--only-binary",
            ":all:",
            "-d",
            work,
            "--requirement",
            wanted,
        ],
        check=True,
    )
    archive = zipfile.ZipFile(next(work.glob("aclsum-*.whl")))
    records = {}
    for split in ("train", "val", "test"):
        for line in io.TextIOWrapper(archive.open(f"aclsum/dataset/{split}.jsonl"), "utf-8"):
            record = json.loads(line)
            records[record["id"]] = record
    rows = []
    for identifier, (stem, authors) in PAPERS.items():
        text = paper(records[identifier])
        (HERE / f"{stem}.txt").write_text(text, encoding="utf-8")
        title = records[identifier]["title"].strip(" *")
        rows.append(
            (
                f"{stem}.txt",
                len(text.split()),
                "en",
                f"{title} (ACL Anthology {identifier})",
                f"PyPI aclsum {ACLSUM}",
                "CC-BY-4.0",
                authors,
            )
        )
    return rows


def pages(work: Path) -> list[tuple]:
    for package, version in sorted({(p.package, p.version) for p in PAGES}):
        subprocess.run(
            ["apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", f"{package}={version}"],
            cwd=work,
            check=True,
        )
        target = work / package
        target.mkdir()
        deb = next(work.glob(f"{package}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", deb, target], check=True)
    rows = []
    for page in PAGES:
        raw = (work / page.package / page.member).read_bytes()
        if page.member.endswith(".gz"):
            raw = gzip.decompress(raw)
        text = raw.decode("utf-8")
        if page.member.endswith(".html"):
            plain = extract(text, markdown=page.file.endswith(".md"))
            shipped = text if page.file.endswith(".html") else plain
        else:
            plain = shipped = text
        (HERE / page.file).write_text(shipped, encoding="utf-8")
        rows.append(
            (
                page.file,
                len(plain.split()),
                page.language,
                page.title,
                f"Debian {page.package} {page.version}, `{page.member}`",
                page.licence,
                page.attribution,
            )
        )
    return rows


NOTES = """\
# Where these documents come from

The documents in `documents/`, for the demo and the tests, made by `harness/documents.py` from pinned packages. Each stays under its own licence, named in
the table; the licence of Précis itself (Apache-2.0) covers none of them. The words of an .html file are those of its body text.

{table}

{count} documents, {french} of them in French, {words} words.

## What was changed

- Papers: title, abstract, introduction and conclusion of the paper as the data set holds them, not the whole paper; tokens joined to
  sentences again (no space before a comma), six sentences a paragraph.
- Debian manuals: whole chapters or sections. `.html` files are as shipped; `.txt` and `.md` files made from HTML hold the body text
  without the navigation; files made from .rst or .txt are as shipped.

## Licences

- **CC-BY-4.0**: papers of the ACL Anthology from 2016 on. <https://creativecommons.org/licenses/by/4.0/>. The selection and
  extraction are those of ACLSum (Takeshita, Green, Friedrich, Eckert, Ponzetto; package under MIT).
- **CC-BY-SA-3.0**: Debian Administrator's Handbook, <https://creativecommons.org/licenses/by-sa/3.0/>.
- **GPL-2.0-or-later**: text in `documents/licence-gpl-2.txt`. The files are in the form in which we edit them; the upstream
  sources are the Debian source packages of the same name and version.
- **MIT** (Debian calls it Expat): see `../LICENSES/debmake-doc.txt`.
- **Debian-FAQ**: permission notice in `../LICENSES/debian-faq.txt`.
- **OPL-1.0**: Copyright (c) 1997-2004 by Software in the Public Interest, Inc. This material may be distributed only subject to the
  terms and conditions set forth in the Open Publication License, Draft v1.0 or later (<http://www.opencontent.org/openpub/>).
- **verbatim-licence**: texts of licences, whole and unchanged, as their own notices permit.
"""


def notice(work: Path, package: str, start: str, end: str) -> str:
    lines = (
        (work / package / f"usr/share/doc/{package}/copyright")
        .read_text(encoding="utf-8")
        .splitlines()
    )
    first = next(i for i, line in enumerate(lines) if start in line)
    last = next(i for i, line in enumerate(lines) if i >= first and end in line)
    return "\n".join(lines[first : last + 1]) + "\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        rows = papers(work) + pages(work)
        licences = ROOT / "LICENSES"
        licences.mkdir(exist_ok=True)
        (licences / "debian-faq.txt").write_text(
            notice(work, "debian-faq", "Copyright (C) 1996-2003", "in the original English."),
            encoding="utf-8",
        )
        (licences / "debmake-doc.txt").write_text(
            notice(
                work,
                "debmake-doc",
                "Copyright: 2015 Osamu",
                "SOFTWARE OR THE USE OR OTHER DEALINGS",
            ),
            encoding="utf-8",
        )
    header = ("File", "Words", "Language", "Title", "Source", "Licence", "Authors or holders")
    lines = [header, tuple("---" for _ in header), *rows]
    table = "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
    (ROOT / "tests" / "DOCUMENTS.md").write_text(
        NOTES.format(
            table=table,
            count=len(rows),
            french=sum(row[2] == "fr" for row in rows),
            words=sum(row[1] for row in rows),
        ),
        encoding="utf-8",
    )
    outside = [row[:2] for row in rows if not 300 <= row[1] <= 4000]
    if outside:
        sys.exit(f"outside 300 to 4,000 words: {outside}")


if __name__ == "__main__":
    main()
