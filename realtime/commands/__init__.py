"""What is typed behind `voxcam`, a module each; the list is in realtime/cli.py."""
