"""Our SBI, called by a program that nobody but the specification knows: program.c."""
