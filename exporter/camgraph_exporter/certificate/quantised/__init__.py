"""What proves a quantised graph: a surrogate on real numbers at the integers of a deployed run."""
