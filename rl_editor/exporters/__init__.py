"""Project files for audio workstations, one module a format, all from the edit decision list."""
