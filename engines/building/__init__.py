"""Engines for this machine: build them from the models, choose the fastest, find a lighter one, profile one."""
