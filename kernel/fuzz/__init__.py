"""A fuzzer of the system calls: what the first program `fuzz` does on a machine. See main.py."""
