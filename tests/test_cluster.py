"""Several processes for real: each scenario of benchmarks/cluster.py, for ten seconds."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import bed
import cluster
from harness import PACKAGE
from support import render

SECONDS = 10.0

pytestmark = [
    pytest.mark.skipif(
        bool(bed.missing()), reason=f"missing, apt-get installs it: {' '.join(bed.missing())}"
    ),
]


@pytest.fixture(scope="module")
def runs(
    plain_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, cluster.Run]]:
    """What each scenario saw. They run one after another, in two clusters."""
    project = render(plain_template, tmp_path_factory.mktemp("cluster") / "project")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(project / "tests")
        yield dict(cluster.play(list(cluster.SCENARIOS), project, SECONDS))
        for name in list(sys.modules):
            if name.partition(".")[0] in (PACKAGE, "memory_tenant"):
                del sys.modules[name]


@pytest.mark.parametrize("name", cluster.SCENARIOS)
def test_a_scenario_reaches_its_targets(runs: dict[str, cluster.Run], name: str) -> None:
    targets = cluster.targets(name, runs[name])
    assert targets
    for target in targets:
        assert target.reached(), f"{target}: {runs[name].failed()[:5]}"


def test_every_kind_of_request_was_sent_and_let_in(runs: dict[str, cluster.Run]) -> None:
    sent = runs["rolling restart of all"].sent
    assert len(sent) == SECONDS * cluster.RATE
    assert {one.kind for one in sent if one.status == 200} == set(cluster.KINDS)


def test_the_scenarios_did_happen(runs: dict[str, cluster.Run]) -> None:
    """Each has a trace, so that nothing is green because nothing took place."""
    assert {one.status for one in runs["Redis restarted"].failed("dpop")} == {503}
    assert {one.status for one in runs[cluster.SLOW].failed()} == {401}
    assert {one.kind for one in runs[cluster.SLOW].failed()} == set(cluster.KINDS)
    assert runs["a proof at all at once"].notes["proofs"] > SECONDS
