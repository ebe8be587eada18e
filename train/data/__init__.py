"""Corpora and what is prepared from them: landmarks, the teacher's features, shards, noise, rendered people."""
