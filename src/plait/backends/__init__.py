"""The backends: one package for each framework, the interface that they implement, and their registry."""
