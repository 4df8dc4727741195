"""S-INIT: the first program. Holds everything at the beginning, gives each service what the description says."""
