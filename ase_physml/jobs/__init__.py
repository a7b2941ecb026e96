"""Work that can be interrupted: what it is, who is at it, how far it has come."""
