"""The resident engine on clusters of this machine: same bits through kills of any kind."""

import pytest

from tests.engines.clusters import CONF, SPECULATION, drive

pytestmark = pytest.mark.cluster

QUIET = [f"resident/{n}/quiet" for n in (1, 3, 8)]
KILLS = ["resident/2/worker", "resident/5/one after the other", "resident/2/both"]


def run(master, *arguments):
    """What the driver says of each scenario, in order; all have the local engine's bits."""
    results = drive("cluster_fit", master, *CONF, *arguments)
    assert [result["name"] for result in results] == [a for a in arguments if "=" not in a]
    for result in results:
        assert result["equal"], result
    return results


def test_same_bits_through_kills(standalone):
    results = run(standalone, *QUIET, *KILLS)
    quiet, kills = results[:3], results[3:]
    assert [result["tasks"] for result in quiet] == [1, 2, 2]  # no more than shards
    assert quiet[1]["auto"][0] == "resident"
    assert all(result["lost"] for result in kills)
    assert kills[0]["submissions"] == 1  # Spark brought the task back by itself


def test_a_speculative_copy_steps_in(two_hosts):
    settings = ["spark.speculation.task.duration.threshold=1s", "spark.speculation.interval=100ms"]
    (result,) = run(two_hosts, *SPECULATION, *settings, "resident/3/original")
    assert result["copies"] == [True]
    assert result["submissions"] == 1


def test_fewer_slots_than_shards_and_encryption_which_takes_the_job_engine(standalone):
    settings = ["spark.cores.max=1", "spark.io.encryption.enabled=true"]
    (result,) = run(standalone, *settings, "resident/8/quiet")
    assert result["tasks"] == 1
    engine, why = result["auto"]
    assert (engine, "spark.io.encryption.enabled" in why) == ("job", True)
