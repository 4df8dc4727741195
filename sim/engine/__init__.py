"""The cycle engine: a design with one clock becomes C++ that computes one cycle after the other.

    netlist   reads what Amaranth makes of a design, cell by cell
    graph     values of at most 64 bits; what is constant or equal is found when a node is made
    guards    when a value matters: which multiplexers and enables are worth a branch
    schedule  in which order, inside which branch
    habits    what the design usually does, and the logic that is left of it then
    emit      writes the C++

There are no events and no unknown values, and no output may depend on an input within a cycle (sim/top.py sees to it).
Verilator stays for waves; `tests/sim` compares both, and single operators with Amaranth's own simulator.
"""
