"""Realtime: sound in, talking picture out; live and offline take the same path."""
