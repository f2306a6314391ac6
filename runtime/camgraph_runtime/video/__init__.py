"""Video files, read and written frame by frame; PyAV (the extra `video`) is loaded when one is opened."""
