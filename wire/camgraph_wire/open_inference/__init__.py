"""Messages of the Open Inference Protocol v2, which KServe and Triton speak, and values of camgraph."""
