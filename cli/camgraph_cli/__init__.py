"""The root of the command line: finds the commands of the other packages, and gives them what they share."""
