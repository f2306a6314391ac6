"""The client's commands: `explain` and `models`."""
