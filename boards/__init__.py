"""FPGA boards: platforms, synthesis, place and route."""
