"""The backend for libraries that follow the array API standard."""
