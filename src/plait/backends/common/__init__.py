"""Code that several backends share: reductions, equations and contractions, symbolic sizes, and reshapes in parts."""
