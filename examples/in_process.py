"""Explains the best class of a photo in this process, and draws it.

    GRAPH=demo-output/models/efficientnet_lite0.onnx
    python examples/in_process.py $GRAPH examples/photos/rocket.jpg rocket.png

Needs `camgraph[cpu]` only.
"""

import sys

from camgraph_runtime import Explainer


def main(graph: str, photo: str, picture: str) -> None:
    """Explains `photo` with `graph` and writes the overlay to `picture`."""
    explainer = Explainer(graph)
    result = explainer.explain(photo, top_k=1)
    best = result.explanations[0]  # best.heatmap is float32 [H, W] in 0..1, in the frame of the photo
    print(f"{best.title}: probability {best.target.probability:.3f}, score {best.target.score:.2f}")
    best.save(picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
