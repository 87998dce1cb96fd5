"""A batch on two nodes of a Ray cluster, one of which is killed: the same files as on one machine."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from batches import Drawn, outputs, states
from command import Captured, run

pytestmark = pytest.mark.fleet


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A head without processors, and two nodes of one each."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": 80 * 2**20})
    for _ in range(2):
        made.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    yield made
    made.shutdown()


def test_a_node_that_is_killed_changes_no_file(cluster: Any, drawn: Drawn, model: Path, capsys: Captured):
    for number in range(48):
        drawn(f"{number}.png", number, (192, 128))
    Path("rooms/broken.png").write_bytes(Path("rooms/1.png").read_bytes()[:60])
    Image.open("rooms/2.png").save("rooms/other.webp")
    common = ("rooms", "warm light", "-m", model, "--steps", 60, "-q")
    assert run(capsys, "batch", *common, "-o", "alone")[0] == 1

    def kill() -> None:
        while not Path("fleet").is_dir() or len(outputs("fleet")) < 8:
            time.sleep(0.02)
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        killed.append(len(outputs("fleet")))

    killed: list[int] = []
    thread = threading.Thread(target=kill)
    thread.start()
    code, _, err = run(capsys, "batch", *common, "-o", "fleet", f"--ray={cluster.address}")
    thread.join()
    assert code == 1, err
    assert killed[0] < 45
    assert outputs("fleet") == outputs("alone")
    assert states("fleet").keys() == states("alone").keys()
    assert [name for name, state in states("fleet").items() if state == "failed"] == ["broken.png"]
    assert run(capsys, "batch", *common, "-o", "fleet")[0] == 1  # what is done on a cluster is done here
    assert set(states("fleet").values()) == {"kept", "failed"}
