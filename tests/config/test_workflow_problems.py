"""What is wrong with the workflows of a rule, each told once with its place."""

from __future__ import annotations

import pytest

from tests.config.conftest import GOOD, WriteConfig
from tests.config.test_problems import Bad, assert_told_once
from watcher.config import load_config

TABLE = (
    Bad(
        "chain-not-there",
        "{name: Amplicon QC,",
        "{name: Amplicon QC, after: x,",
        18,
        "rules[0].workflow.after",
        "names no workflow of this rule: x.",
        "Keys: 1.",
    ),
    Bad(
        "chain-of-itself",
        "{name: Amplicon QC,",
        "{name: Amplicon QC, after: '1',",
        18,
        "rules[0].workflow.after",
        "does not stand before it",
        "in the order",
    ),
    Bad(
        "output-of-nobody",
        "inputs: {Reads: reads}",
        "inputs: {Reads: {from: trim, output: trimmed}}",
        18,
        "rules[0].workflow.inputs",
        "names no workflow of this rule: trim.",
        "Keys: 1.",
    ),
    Bad(
        "input-of-no-kind",
        "inputs: {Reads: reads}",
        "inputs: {Reads: {file: x}}",
        18,
        "rules[0].workflow.inputs.Reads",
        "no data that an input can take",
        "{dataset}",
    ),
    Bad(
        "no-share",
        "{name: Amplicon QC,",
        "{name: Amplicon QC, min_ok: 95,",
        18,
        "rules[0].workflow.min_ok",
        "share",
        "95%",
    ),
    Bad(
        "version-of-a-file",
        "{name: Amplicon QC,",
        "{file: /etc/qc.ga, version: 3,",
        18,
        "rules[0].workflow.version",
        "not for a workflow told by file",
        "one version",
    ),
)


@pytest.mark.parametrize("bad", TABLE, ids=[bad.name for bad in TABLE])
def test_one_wrong_thing_of_a_workflow_is_one_problem(write: WriteConfig, bad: Bad) -> None:
    """Each mistake is told once, with file, line, key, what is wrong and what would be right."""
    assert_told_once(write, bad)


def test_a_chain_waits_for_those_it_names_and_those_it_takes_from(write: WriteConfig) -> None:
    """What has to end before is told by `after` and by outputs that are taken, each once."""
    chain = (
        "[{name: A, key: a, inputs: {Reads: reads}}, {name: B, key: b},"
        " {name: C, after: b, min_ok: 95%, inputs: {Table: {from: a, output: t}, More: {from: a, output: u}}}]"
    )
    start = GOOD.index("{name: Amplicon QC")
    settings = load_config(write(GOOD[:start] + chain + GOOD[GOOD.index("\n", start) :]), {})
    last = settings.rules[0].workflow[2]
    assert (last.waits_for, last.min_ok) == (("b", "a"), 0.95)
