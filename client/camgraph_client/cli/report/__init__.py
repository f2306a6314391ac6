"""What `camgraph explain` keeps of many images: rows, files of them, and the page."""
