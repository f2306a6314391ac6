"""Programs that try to knock a server down: real processes, limits, and what must hold meanwhile."""
