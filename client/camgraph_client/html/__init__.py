"""HTML pages that need no other file, nor any network."""
