"""Metrics for Prometheus: what is counted, what is looked up when somebody asks, and the port that gives it."""
