"""What the server says about itself: its log, metrics and traces."""
