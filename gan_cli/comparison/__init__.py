"""Runs side by side: what their directories tell, which of them agree in all but the seed, and how the groups stand."""
