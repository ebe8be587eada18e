"""Stage 1: the network that hears, its losses, and probes of what its factors tell."""
