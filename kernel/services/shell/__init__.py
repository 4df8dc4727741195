"""The shell: a service like others, that shows and steers what its capabilities let it see."""
