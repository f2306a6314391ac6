"""What the server does for a caller, in any protocol: a request in, a result out."""
