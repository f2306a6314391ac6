"""The audit log: one line for each request, from which it can be repeated to the same bits."""
