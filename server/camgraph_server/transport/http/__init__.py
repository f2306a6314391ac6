"""HTTP beside gRPC: KServe's two protocols, health and metrics, over the same service, limits, errors and records."""
