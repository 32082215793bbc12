"""Files that ship with the package: default weights and the demo recording."""
