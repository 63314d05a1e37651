#!/usr/bin/env python3
"""Generated web pages in a real browser: does our text of a page have the words that the browser shows, apart and in order?

    PRECIS_HTML_PAGES=/tmp/pages cargo test -p precis written_where_asked
    python3 tests/harness/browser.py /tmp/pages

Needs Chromium, which no suite has: run by hand where services/precis/src/inputs/html changes. For each page the folder
has `NAME.html` and our text, `NAME.txt`. Words are w<number>e. Exit code 1: some page differs; each is named, with the words.
"""

import http.server
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import threading

DRIVER = """<!doctype html><iframe></iframe><script>
(async () => {
  const frame = document.querySelector('iframe'), texts = {}, optional = {};
  for (const name of await (await fetch('/names')).json()) {
    await new Promise(done => { frame.onload = done; frame.src = '/page/' + name; });
    const root = frame.contentDocument.documentElement;
    // Closed parts are text of ours, too. Of fields innerText has nothing, and of what a drawing keeps for use elsewhere
    // it has text that is not drawn.
    root.querySelectorAll('details').forEach(details => { details.open = true; });
    root.querySelectorAll('textarea').forEach(field => { field.outerHTML = `<pre>${field.innerHTML}</pre>`; });
    root.querySelectorAll('svg defs').forEach(kept => kept.remove());
    await new Promise(requestAnimationFrame);
    texts[name] = root.innerText;
    optional[name] = [...root.querySelectorAll('select, math, object')].map(part => part.textContent).join(' ');
  }
  await fetch('/texts', { method: 'POST', body: JSON.stringify({ texts, optional }) });
})();
</script>"""
BROWSER_TIMEOUT_SECONDS = 600
WORD = re.compile(r"w(\d+)e")


def texts_in_browser(pages: dict[str, str]) -> dict[str, dict[str, str]]:
    """What the browser shows of each page, and what we may show: what stands in an element that should not hold it."""
    answer: dict[str, dict[str, str]] = {}
    arrived = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def reply(self, body: str, kind: str = "text/html; charset=utf-8") -> None:
            data = body.encode()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self) -> None:  # noqa: N802, the library's name
            if self.path == "/names":
                self.reply(json.dumps(sorted(pages)), "application/json")
            elif self.path.startswith("/page/"):
                self.reply(pages.get(self.path.removeprefix("/page/"), ""))
            else:
                self.reply(DRIVER)

        def do_POST(self) -> None:  # noqa: N802
            answer.update(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.reply("")
            arrived.set()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as profile:
        browser = subprocess.Popen(
            [
                "chromium",
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                f"--user-data-dir={profile}",
                "--remote-debugging-port=0",
                f"http://127.0.0.1:{server.server_port}/",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            if not arrived.wait(BROWSER_TIMEOUT_SECONDS):
                sys.exit("the browser did not answer")
        finally:
            browser.terminate()
            browser.wait()
    return answer


def joined(text: str) -> set[tuple[str, str]]:
    """Pairs of words with nothing between them."""
    words = list(WORD.finditer(text))
    return {(one[1], two[1]) for one, two in zip(words, words[1:]) if one.end() == two.start()}


def main(folder: pathlib.Path) -> int:
    pages = {path.stem: path.read_text() for path in folder.glob("*.html")}
    answer = texts_in_browser(pages)
    shown = answer["texts"]
    failures = 0
    for name in sorted(pages):
        ours = (folder / f"{name}.txt").read_text()
        theirs = WORD.findall(shown[name])
        optional = set(WORD.findall(answer["optional"][name])) - set(theirs)
        mine = [word for word in WORD.findall(ours) if word not in optional]
        findings = {
            "missing": sorted(set(theirs) - set(mine), key=int),
            "not shown": sorted(set(mine) - set(theirs), key=int),
            "joined": sorted(
                pair for pair in joined(ours) - joined(shown[name]) if not optional & set(pair)
            ),
        }
        if not findings["missing"] and not findings["not shown"] and mine != theirs:
            findings["order"] = [mine, theirs]
        findings = {kind: words for kind, words in findings.items() if words}
        failures += bool(findings)
        if findings:
            print(name, findings)
    print(
        f"{len(pages)} pages, {sum(len(WORD.findall(text)) for text in shown.values())} words shown, {failures} pages differ"
    )
    return 1 if failures or not pages else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
