"""Asks a server why the best class, and not the second: one call, two targets, one of them a contrast.

    camgraph serve --model-repository demo-output/models &
    python examples/call_server.py 127.0.0.1:8500 examples/photos/chelsea.png

Needs `camgraph[client]` only: neither onnxruntime nor the model.
"""

import sys

from camgraph_client import Client, Target


def main(address: str, photo: str) -> None:
    """Explains `photo` with the only model of the server at `address`."""
    why_not_the_second = Target.of_rank(1, contrast=Target.of_rank(2))
    with Client(address) as client:
        result = client.model().explain(photo, targets=[Target.of_rank(1), why_not_the_second])
    for item in result.explanations:
        against = f" against {item.contrast.name}" if item.contrast else ""
        print(f"{item.target.name}{against}: {item.statistics.positive_share:.0%} of the map speaks for it")
    print(f"{result.timings.total_ms:.1f} ms on the server, {result.timings.inference_ms:.1f} of them inference")


if __name__ == "__main__":
    main(*sys.argv[1:])
