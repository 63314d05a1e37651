"""Adapters (LoRA) from the command line to the outcome: who is answered with which, and which are refused.

The adapters are random numbers. They make no better summaries of anything, but other ones.
"""

import json
from pathlib import Path

import adapters
import notes
import servers
from deployment import GPU, PERMISSIVE, Deployment, Tier
from oracle import settled

MODEL = "smollm2-135m-instruct"
OTHER = "globex"
TENANTS = ("acme", OTHER)


class Registry:
    """A folder of models of its own, with the default model in it and whatever `precis models register` brings there."""

    def __init__(self, folder: Path):
        self.models, self.sources = folder / "models", folder / "sources"
        self.manifest = folder / "models.toml"
        shared = Path(
            servers.environment({}).get("PRECIS_MODELS_DIR") or Path.home() / ".cache/precis/models"
        )
        self.models.mkdir()
        self.manifest.touch()
        (self.models / MODEL).symlink_to(shared / MODEL, target_is_directory=True)

    def use(self, deployment: Deployment) -> None:
        deployment.model = {"directory": str(self.models), "manifest": str(self.manifest)}
        deployment.tenants = TENANTS

    def register(self, deployment: Deployment, name: str, seed: int, *more: str) -> str:
        """Registers a random adapter under this name; returns its id."""
        source = self.sources / f"{name}-{seed}"
        if not source.exists():
            adapters.write(source, seed)
        done = deployment.cli(
            "models", "register", "--adapter", str(source), "--name", name, "--json", *more
        )
        told = json.loads(done.stdout)
        assert told["id"].startswith(f"{name}@") and told["adapter"]["rank"] == adapters.RANK
        return told["id"]

    def twin(self, deployment: Deployment, name: str) -> None:
        """Registers a model of the default model's shape, of which one byte of a weight is another."""
        weights = bytearray(next((self.models / MODEL).rglob("*.gguf")).read_bytes())
        weights[-64] ^= 1
        self.sources.mkdir(exist_ok=True)
        file = self.sources / f"{name}.gguf"
        file.write_bytes(weights)
        deployment.cli("models", "register", str(file), "--name", name)


def tier(*rules: dict) -> Tier:
    return Tier(GPU.name, GPU.kind, adapters=rules)


def fingerprint(outcome: dict) -> str:
    """The part of the answer's key that names the way to answer."""
    return outcome["answer_key"].rpartition(".answer.")[2]


def test_policies_choose_the_adapter_of_an_answer(kafka_deployment, tmp_path):
    """Tenants and types have their adapters, and an answer is the same alone and beside others."""
    rules = (
        {"adapter": "harbour", "tenants": ["acme"]},
        {"adapter": "letters", "types": ["letter"]},
    )
    registry = Registry(tmp_path)

    def deployed():
        deployment = kafka_deployment(tier(*rules), checks=PERMISSIVE)
        registry.use(deployment)
        return deployment

    together = deployed()
    harbour = registry.register(together, "harbour", 1)
    letters = registry.register(together, "letters", 2)
    listed = [
        json.loads(line) for line in together.cli("models", "list", "--json").stdout.splitlines()
    ]
    assert [row["id"] for row in listed if "adapter" in row] == [harbour, letters]
    cases = {
        "own": ("acme", "", harbour),
        # The first rule that names a document holds.
        "both": ("acme", "letter", harbour),
        "letter": (OTHER, "letter", letters),
        "neither": (OTHER, "", None),
    }

    def document(case: str, number: int) -> dict:
        return notes.note(number, document_id=f"{case}-{number}", document_type=cases[case][1])

    together.start("precis-router")
    published = set()
    for case, (tenant, _, _) in cases.items():
        published |= together.publish([document(case, number) for number in range(2)], tenant)
    # All wait for it, and are computed side by side.
    together.start("precis-gpu-worker")
    follower = together.kafka.follow("summaries")
    follower.until(settled(8), "8 outcomes")
    newer = registry.register(together, "harbour", 3)
    published |= together.publish([document("own", 2)])
    follower.until(settled(9), "9 outcomes")
    found = {who[1]: outcome for who, outcome in together.assert_settled(published).items()}

    assert {outcome["status"] for outcome in found.values()} == {"answered"}
    for case, (_, _, adapter) in cases.items():
        for number in range(2):
            model = found[f"{case}-{number}"]["model"]
            assert (model["name"], model["adapter"]) == (MODEL, adapter)
    assert found["own-2"]["model"]["adapter"] == newer != harbour
    prints = {case: fingerprint(found[f"{case}-0"]) for case in cases}
    assert prints["own"] == prints["both"]
    assert len({*prints.values(), fingerprint(found["own-2"])}) == 4, prints
    for number in range(2):
        own, both, letter, neither = (found[f"{case}-{number}"]["summary"] for case in cases)
        assert own == both and len({own, letter, neither}) == 3, (own, letter, neither)

    # One document at a time, in another store, with the version that was registered first.
    alone = deployed()
    assert registry.register(alone, "harbour", 1) == harbour
    alone.start("precis-router")
    alone.start("precis-gpu-worker")
    follower = alone.kafka.follow("summaries")
    published = set()
    for case, (tenant, _, _) in cases.items():
        published |= alone.publish([document(case, 0)], tenant)
        follower.until(settled(len(published)), f"the outcome of {case}")
    for (_, name, _), outcome in alone.assert_settled(published).items():
        for field in ("summary", "answer_key", "model", "output_tokens"):
            assert outcome[field] == found[name][field], (name, field)
        assert outcome["cache"] == "none"


def test_adapters_that_cannot_be_used_refuse_their_documents(kafka_deployment, tmp_path):
    """Each says why, and documents beside are answered."""
    codes = {"missing": "unknown_adapter", "foreign": "bad_adapter", "changed": "bad_adapter"}
    rules = [{"adapter": name, "types": [name]} for name in codes]
    registry = Registry(tmp_path)
    deployment = kafka_deployment(tier(*rules), checks=PERMISSIVE)
    registry.use(deployment)
    registry.twin(deployment, "twin")
    registry.register(deployment, "foreign", 1, "--base", "twin")
    registry.register(deployment, "changed", 2)
    [weights] = (registry.models / "adapters/changed").rglob("adapter_model.safetensors")
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    narrow = adapters.write(tmp_path / "narrow", 3, width=64)
    for source, said in (
        (narrow, "the model has 576 outputs of 576 inputs there"),
        (tmp_path / "nowhere", "is missing"),
    ):
        refused = deployment.cli(
            "models", "register", "--adapter", str(source), "--name", "broken", check=False
        )
        assert refused.returncode != 0 and said in refused.stderr.decode(), refused.stderr.decode()

    deployment.start("precis-router")
    kinds = [*codes, "plain"]
    published = deployment.publish(
        [
            notes.note(number, document_id=kind, document_type=kind)
            for number, kind in enumerate(kinds)
        ]
    )
    deployment.start("precis-gpu-worker")
    deployment.kafka.follow("summaries").until(settled(len(kinds)), "4 outcomes")
    found = {who[1]: outcome for who, outcome in deployment.assert_settled(published).items()}
    for kind, code in codes.items():
        outcome = found[kind]
        assert (outcome["status"], outcome["summary"]) == ("failed", None)
        assert outcome["message"] == f"no tier is left: gpu refused ({code})"
    assert found["plain"]["status"] == "answered" and found["plain"]["model"]["adapter"] is None
    log = deployment.services["gpu-worker"].log.read_text()
    for said in (
        "there is no adapter `missing` on this machine (there are: changed, foreign): register it",
        "the adapter `foreign` cannot be used: it is registered for the model `twin` with sha256",
        "the adapter `changed` cannot be used: its files have sha256",
    ):
        assert said in log, log
