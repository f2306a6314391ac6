"""Names of the models of an ensemble, and of what goes between its steps."""

ENSEMBLE, PREPARE, DRAW = ".ensemble", ".prepare", ".draw"
"""End the names of an ensemble and of the models of its steps, after the graph's own name."""

TO_GRAPH, OF_GRAPH = "to-graph.", "of-graph."
"""Begin the names of the graph's inputs and outputs, as a caller's inputs may have the same ones."""
