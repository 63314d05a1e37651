"""A real provider: llama.cpp's server with SmolLM2, behind the api-worker as any OpenAI-compatible provider is.

    make verify-provider        needs what `make test` needs; the first run builds the server (ten minutes), cached below ~/.cache/precis

First the provider trait's own tests against it (services/api-worker/tests/llama.rs). Then the release binaries of router and api-worker
on the embedded log: the text documents of tests/documents go to a tier of that provider with prices of their own, and

- every document has one outcome, byte for byte the stored one;
- the ledger's tokens, read and generated, are exactly those that the server counted itself (its /metrics);
- a document longer than the server's context ends flagged or failed with `prompt_too_long` on its trail, and costs nothing;
- the server is killed with documents in hand and started again: every document still has one outcome, and what is billed since covers
  what the new server counted.

Prints one line of JSON; exit code 1 when one of these does not hold.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT / "tests/harness"), str(ROOT / "tests/e2e"), str(ROOT / "loadtest/engine")]

import provision  # noqa: E402

if Path(sys.prefix) != provision.python_environment():
    python = str(provision.python_environment() / "bin" / "python")
    os.execv(python, [python, __file__, *sys.argv[1:]])

import oracle  # noqa: E402
import peer  # noqa: E402
import servers  # noqa: E402
from deployment import PERMISSIVE, TENANT, EmbeddedDeployment, Tier  # noqa: E402

KEY = "sk-test-very-secret"
MODEL = "smollm2"
SLOTS = 2
CONTEXT = 8192
TIMEOUT_SECONDS = 1800
TIER = Tier(
    "api", "api", max_sensitivity="internal", residency=("*",), provider="openai", model=MODEL
)
PRICES = f"""
date = "2026-11-24"
source = "made up for this test: our own machine"
[[prices]]
provider = "openai"
model = "{MODEL}"
input = "0.01"
output = "0.04"
"""


class LlamaServer(servers.HttpServer):
    """llama.cpp's server with the default model. Without prompt cache: then each token that it is sent counts as read."""

    name = "llama"
    health = "/health"

    def command(self) -> list[str]:
        model = next((provision.CACHE / "models").rglob("*.gguf"))
        return [
            str(peer.server()),
            "--host",
            servers.LOOPBACK,
            "--port",
            str(self.port),
            "--model",
            str(model),
            "--alias",
            MODEL,
            "--ctx-size",
            str(CONTEXT * SLOTS),
            "--parallel",
            str(SLOTS),
            "--threads",
            str(os.cpu_count()),
            "--api-key",
            KEY,
            "--metrics",
            "--no-cache-prompt",
            "--offline",
        ]

    def ready(self) -> bool:
        """/health is 503 while the model loads."""
        try:
            with self.get("/health") as answer:
                return answer.status == 200
        except OSError:
            return False

    def get(self, path: str):
        request = urllib.request.Request(
            self.url + path, headers={"authorization": f"Bearer {KEY}"}
        )
        return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            request, timeout=30
        )

    def counted(self) -> tuple[int, int]:
        """Tokens that it read and generated since it was started."""
        with self.get("/metrics") as answer:
            metrics = dict(
                re.findall(r"^llamacpp:(\w+) (\S+)$", answer.read().decode(), re.MULTILINE)
            )
        return int(float(metrics["prompt_tokens_total"])), int(
            float(metrics["tokens_predicted_total"])
        )


class ProviderDeployment(EmbeddedDeployment):
    """Router and api-worker, whose provider is the server."""

    profile = "release"

    def __init__(self, folder: Path, server: LlamaServer):
        super().__init__(folder, [TIER], key=KEY, checks=PERMISSIVE)
        self.server, self.prices = server, folder / "prices.toml"
        self.prices.write_text(PRICES)

    def service_settings(self) -> dict:
        openai = {
            "base_url": f"{self.server.url}/v1",
            "max_concurrency": SLOTS,
            "timeout_ms": 600_000,
        }
        return {"api_worker": {"prices": str(self.prices), "openai": openai}}

    def spent(self) -> dict:
        return json.loads(self.cli("spend", "--json").stdout)["total"]

    def wait_for(self, count: int, what: str) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while len(oracle.first_outcomes(self.log.read("summaries"))) < count:
            assert time.monotonic() < deadline, (
                f"{what}: not after {TIMEOUT_SECONDS} s\n{self.logs()}"
            )
            time.sleep(0.5)


def document(name: str, text: str) -> dict:
    language = "fr" if name.startswith("fr-") else "en"
    return {"document_id": name, "text": text, "language": language, "max_words": 60}


def trait_tests(server: LlamaServer) -> None:
    command = [
        "cargo",
        "test",
        "--locked",
        "--workspace",
        "--features",
        "precis-api-worker/llama-server",
        "--test",
        "llama",
    ]
    environment = os.environ | {
        "PRECIS_TEST_LLAMA": server.url,
        "PRECIS_TEST_LLAMA_CONTEXT": str(CONTEXT),
        "NO_PROXY": servers.LOOPBACK,
    }
    subprocess.run(command, cwd=ROOT, env=environment, stdout=sys.stderr, check=True)


def measure(server: LlamaServer, folder: Path) -> dict:
    server.restart()
    deployment = ProviderDeployment(folder, server)
    try:
        for service in ("router", "api-worker"):
            deployment.start(f"precis-{service}")
        texts = {
            path.stem: path.read_text()
            for path in sorted((ROOT / "tests/documents").iterdir())
            if path.suffix in (".txt", ".md")
        }
        longest = max(texts.values(), key=len)
        documents = [document(name, text) for name, text in texts.items()] + [
            document("too-long", longest * (8 * CONTEXT // len(longest) + 1))
        ]
        began = time.monotonic()
        published = deployment.submit(documents)
        deployment.wait_for(len(published), f"{len(published)} outcomes")
        seconds = time.monotonic() - began
        first, counted = deployment.spent(), server.counted()
        assert (first["input_tokens"], first["output_tokens"]) == counted, (
            f"billed {first}, the server counted {counted}"
        )
        assert first["open"] == 0 and float(first["possibly_billed"]) == 0, first

        # The same texts under other names would be found in the cache: these are halves.
        halves = [document(f"half-{name}", text[: len(text) // 2]) for name, text in texts.items()]
        published |= deployment.submit(halves)
        time.sleep(2)
        server.kill()
        time.sleep(3)
        server.launch()
        deployment.wait_for(len(published), "outcomes after the server was killed")
        total, again = deployment.spent(), server.counted()
        found = deployment.assert_settled(published)
    except BaseException:
        print(deployment.logs(), file=sys.stderr)
        raise
    finally:
        deployment.close()
    too_long = found[TENANT, "too-long", 0]
    assert (
        any(trial["code"] == "prompt_too_long" for trial in too_long["trail"])
        and not too_long["cost"]
    ), too_long
    # What the killed server had generated for the lost answers nobody knows.
    billed = (
        total["input_tokens"] - first["input_tokens"],
        total["output_tokens"] - first["output_tokens"],
    )
    assert billed[0] >= again[0] and billed[1] >= again[1], (
        f"billed {billed} since, the server counted {again}"
    )
    states = [outcome["status"] for outcome in found.values()]
    return {
        "documents": len(published),
        "answered": states.count("answered"),
        "flagged": states.count("flagged"),
        "failed": states.count("failed"),
        "seconds": round(seconds, 1),
        "tokens_read": counted[0],
        "tokens_generated": counted[1],
        "billed": total["billed"],
        "possibly_billed": total["possibly_billed"],
        "requests": total["requests"],
    }


def main() -> None:
    servers.terminate_on_signals()
    os.environ |= {
        key: value for key, value in servers.environment({}).items() if key not in os.environ
    }
    peer.server()
    with tempfile.TemporaryDirectory(prefix="precis-provider-") as folder:
        server = LlamaServer(Path(folder))
        server.start()
        try:
            trait_tests(server)
            deployment = Path(folder) / "deployment"
            deployment.mkdir()
            print(json.dumps(measure(server, deployment)))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
