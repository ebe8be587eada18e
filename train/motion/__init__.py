"""Stage 2, from sound to motion: labels, the motion head, idle life and moods, and the report on all of it."""
