"""The programs of the default image. Each module has a function `start`, where its thread begins."""
