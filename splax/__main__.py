"""`python -m splax`."""

from .cli import main

main()
