"""What user programs stand on: system calls, how a program starts and ends, text, and the builder of programs."""
