"""Bench: measures the real path; every figure in the docs comes from here or from `voxcam train score`."""
