"""The runtime behind gRPC: transport, service, scheduling, models."""
