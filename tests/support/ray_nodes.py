"""A Ray of several nodes on this machine, in the environment of the peer `ray`: a head without CPUs, and others.

    python ray_nodes.py COUNT

It prints the address of the cluster. Each line of its standard input that has a number kills that node as a machine
is lost: its raylet ends by SIGKILL, and what it had started ends with it. It ends when its standard input does.
"""

import sys

from ray.cluster_utils import Cluster

_MEMORY = 100 << 20  # bytes of each node's object store


def main(count: int) -> None:
    head = {"num_cpus": 0, "include_dashboard": False, "node_ip_address": "127.0.0.2", "object_store_memory": _MEMORY}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = [
        cluster.add_node(num_cpus=1, node_ip_address=f"127.0.0.{3 + number}", object_store_memory=_MEMORY)
        for number in range(count)
    ]
    cluster.wait_for_nodes()
    print(cluster.address, flush=True)
    for line in sys.stdin:
        cluster.remove_node(nodes[int(line)], allow_graceful=False)
        print("killed", flush=True)
    for node in [*cluster.worker_nodes, cluster.head_node]:
        cluster.remove_node(node, allow_graceful=False)  # a raylet that may would wait 30 s
    cluster.shutdown()  # nobody shall look for it any more


if __name__ == "__main__":
    main(int(sys.argv[1]))
