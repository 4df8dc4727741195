"""ipcbench: the measuring first program (command line `user`), and the server on the other side of its calls."""
