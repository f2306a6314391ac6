"""The runtime behind gRPC: model repository, servicers, lifecycle."""
