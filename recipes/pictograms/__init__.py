"""The recipe of "pictograms": openly licensed drawings with words, for a tiny CLIP."""
