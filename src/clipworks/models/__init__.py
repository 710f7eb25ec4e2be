"""The towers of CLIP-like models as readable torch modules, and the weights that fit them."""
