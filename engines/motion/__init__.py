"""What the shaper adds to what is heard: idle life, moods, how far a person moves; and the motion as ARKit names it."""
