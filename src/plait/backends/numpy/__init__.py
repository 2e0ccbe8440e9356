"""The backend of NumPy: `backend` has its class; the other modules have reductions, contractions and large arrays."""
