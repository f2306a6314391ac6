"""The gRPC services: messages in, runtime calls on worker threads, messages out."""
