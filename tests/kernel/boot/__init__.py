"""Boots the kernel on every path and talks to it over its console."""
