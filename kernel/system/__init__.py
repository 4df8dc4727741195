"""User space: what the first program finds, the library that programs are written with, and the programs."""
