"""S-ATLAS: registers services, finds them by name and by what they provide, watches their health, has them restarted."""
