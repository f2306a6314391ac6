"""The command line: what every command shares, and the commands `explain` and `models`."""
