"""The runtime over gRPC: transport, service, scheduling, models."""
