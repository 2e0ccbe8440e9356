"""The backend of Blosc2: arrays are read and written in parts, so that none is decompressed as a whole."""
