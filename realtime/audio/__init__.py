"""Sound in and out: microphones, files and pipes as sources, rates, the delayed sound that goes with the pictures."""
