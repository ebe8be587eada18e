"""What a photo is made into, once: what is found in it, brought to rest, uncovered or made for it."""
