"""PCI Express as software sees it (pci-host-ecam-generic), with no links below: functions sit on bus 0 directly.

    ECAM window -----> Ecam ---------> ConfigHeader of each function ---+ where the BARs are
    memory windows --> MemoryWindows --> registers of each BAR  <-------+

A device on the bus is a ConfigHeader, the register-bus devices behind its BARs, an AXI4 manager for its DMA, and one of
the four INTx lines (`rtl.memory_map.pci_interrupt` tells which).
"""
