"""The backend of Cubed: the array API, with reshapes that Cubed refuses in two steps."""
