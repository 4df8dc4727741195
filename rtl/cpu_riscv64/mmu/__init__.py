"""Address translation and protection: the TLBs, the page-table walker, PMP.

A lookup costs nothing but the TLB: its entries hold PTE, A/D, PMP and PMA permissions together. All that is rare or
wide happens one step a cycle when an entry is filled:

    fetch, LSU --lookup--> Tlb --hit, ppn-->
         |                  ^ fill
         +--miss--> Walker -+------ memory (PTEs, through the data cache)
                      |
                     Pmp <-- CSR port
"""
