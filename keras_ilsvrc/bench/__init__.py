"""Ours against the named peer, alternating in one process."""
