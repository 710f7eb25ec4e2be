"""How each library names a CLIP's tensors, and where it writes down the rest."""
