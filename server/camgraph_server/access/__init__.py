"""Who calls, and what each caller may do: in any protocol."""
