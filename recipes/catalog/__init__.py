"""The recipe of the model catalogue: facts from open_clip's own tables, and a few additions."""
