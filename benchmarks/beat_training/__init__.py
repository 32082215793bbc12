"""Training of the network that hears beats, on music that is made for it."""
