"""Engines: trained models turned into fast, verified, streaming parts. Imports nothing of ours; never torch."""

from engines.machine import place_numba_cache

place_numba_cache()  # whoever imports an engine: by itself numba takes old kernels after a change of another file
