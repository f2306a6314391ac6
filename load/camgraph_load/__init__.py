"""Load tests of a camgraph server: calls on a schedule, every answer checked, and a report that people read."""
