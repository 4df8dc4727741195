"""The core: RV64IMAC Zicsr Zifencei Zicntr Zihpm Zba Zbb Zbs Sstc, M/S/U, PMP, Sv39; in order, single issue.

Stages, one file or folder each:

    fetch/    next PC -> I-cache, I-TLB, BTB, gshare read together -> hit, prediction, fetch buffer   (F)
    decode    alignment, RVC expansion, decoding, register read and bypass                            (D)
    execute   ALU, branch resolution, address generation; D-cache and D-TLB are addressed here         (X)
    memory    hit or miss, load alignment, CSRs, traps: the commit point                              (M)
    write     register file write, RVFI                                                               (W)

A predicted-taken branch costs no bubble, a mispredicted one two, a load's use one.
"""
