"""ipcbench: what crossings between address spaces cost. The shell starts `program`; `server` and `peer` answer it."""
