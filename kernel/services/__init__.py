"""Services: programs in user mode, each with exactly the capabilities that the system description gives it."""
