"""What a document ends with whose model's answer fails its checks: sentences of its own, told as such."""

from notes import ANSWER
from test_summarize_again import Summarize, assert_all_from_the_store

# No answer of a model is so sure; an extract, which no model gave, has nothing to be sure of.
POLICY = """
version = 1
on_exhausted = "extract"
[[tiers]]
name = "gpu"
kind = "gpu"
share = 1.0
max_sensitivity = "restricted"
[checks.default]
gates = ["empty", "truncated", "language", "length", "unsupported_numbers", "unsupported_names", "confidence"]
min_logprob = 0.0
"""


def test_a_failed_answer_ends_as_an_extract(tmp_path):
    """The model runs and fails; the summary is the document's own, and a second run finds it stored."""
    (tmp_path / "policy.toml").write_text(POLICY)
    summarize = Summarize(tmp_path, documents=2)
    arguments = ("--max-words", "12", "--policy", "policy.toml")
    first = summarize.run(*arguments)
    for row in first:
        assert (row["outcome"], row["summary"], row["model"]) == (
            "extracted",
            ANSWER,
            "precis/lexrank",
        ), row
        (rejected,) = row["rejected"]
        assert rejected["tier"] == "gpu" and "confidence" in rejected["failed_checks"], row
        assert row["output_tokens"] > 0 and "gpu failed" in row["message"], row
    assert "2 documents: 2 extracted;" in summarize.page()
    assert_all_from_the_store(first, summarize.run(*arguments))
