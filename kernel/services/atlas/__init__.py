"""S-ATLAS: registers services, finds them by name or by what they provide, watches their health, restarts them."""
