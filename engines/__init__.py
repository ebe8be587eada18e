"""Engines: trained models turned into fast, verified, streaming parts. Imports nothing of ours; never torch."""
