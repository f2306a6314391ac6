"""Which request is worked on when, and by which thread."""
