"""What states how photos were prepared in training, and what the classes are called: objects and files."""
