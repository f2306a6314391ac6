"""The client's commands `explain`, `build-bank` and `models`; `camgraph_client.bulk` is that of a cluster."""
