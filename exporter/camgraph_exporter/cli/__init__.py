"""The exporter's commands, one file each: `inspect`, `export` and `verify`."""
