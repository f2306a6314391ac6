"""The certificate of an export, and what it is made of."""
